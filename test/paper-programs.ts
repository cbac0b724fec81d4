import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const LONGEST_MS = 30_000;
/** As a user's programs do, those of the papers take what is built; `npm test` and `npm run verify` build it first. */
const BUILT = join(ROOT, 'dist/index.js');

/** What has programs in it. */
export const PAPERS = [
  'README.md',
  'docs/governor.md',
  'docs/adoption.md',
  'docs/cache.md',
  'docs/pool.md',
  'docs/intern.md',
  'docs/lifetime.md',
  'docs/wasm.md',
  'docs/spill.md',
  'docs/pipeline.md',
  'docs/observe.md',
  'docs/cli.md',
  'docs/dashboard.md',
  'docs/exporters.md',
] as const;

/** A fenced program of a paper, and what the fenced text right behind it says that it prints. */
export interface PaperProgram {
  readonly heading: string;
  readonly source: string;
  readonly exitCode: number;
  readonly output: string | undefined;
}

export const readPaper = (paper: string): string => readFileSync(join(ROOT, paper), 'utf8');

/** "```ts" or "```ts exit=75"; then, when its output is the same each time, a sentence and "```text". */
export function programsOf(text: string): PaperProgram[] {
  const fence = /^```ts(?: exit=(\d+))?\n(.*?)^```\n(?:\n(?:What it prints:\n\n)?```text\n(.*?)^```)?/gms;
  return [...text.matchAll(fence)].map(({ index, 1: exitCode = '0', 2: source, 3: output }) => {
    const heading =
      text
        .slice(0, index)
        .match(/^#+ .*$/gm)
        ?.at(-1) ?? '';
    return { heading, source: source!, exitCode: Number(exitCode), output };
  });
}

/** A folder inside the project, so that `plimsoll` resolves as it does for a user. The caller removes it. */
export function paperFolder(): string {
  if (!existsSync(BUILT)) throw new Error('There is no dist/: run `npm run build` first, as `npm test` does.');
  return mkdtempSync(join(ROOT, 'test', '.readme-'));
}

/** Runs a program as it stands, and gives what it printed and how it ended. */
export function runPaperProgram(dir: string, { source }: PaperProgram) {
  const file = join(dir, 'program.ts');
  const scratch = join(dir, 'tmp');
  mkdirSync(scratch, { recursive: true });
  writeFileSync(file, source);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    env: { ...process.env, PLIMSOLL: '', PLIMSOLL_FORCE_SPILL: '', NODE_OPTIONS: '', TMPDIR: scratch },
    timeout: LONGEST_MS,
  });
  return { exitCode: status, output: stdout, errors: stderr };
}
