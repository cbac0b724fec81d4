import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENTS = [
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
] as const;
const LONGEST_MS = 30_000;
/** As a user's programs do, those of the documents take what is built; `npm test` builds it first. */
const BUILT = join(ROOT, 'dist/index.js');

/** A fenced program of a document, and what the fenced text right behind it says that it prints. */
interface Program {
  readonly heading: string;
  readonly source: string;
  readonly exitCode: number;
  readonly output: string | undefined;
}

const read = (document: string): string => readFileSync(join(ROOT, document), 'utf8');

/** "```ts" or "```ts exit=75"; then, when its output is the same each time, a sentence and "```text". */
function programs(text: string): Program[] {
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

describe.each(DOCUMENTS)('the programs in %s', (document) => {
  let dir: string;
  // Inside the project, so that `plimsoll` resolves as it does for a user.
  beforeAll(() => {
    if (!existsSync(BUILT)) throw new Error('There is no dist/: run `npm run build` first, as `npm test` does.');
    dir = mkdtempSync(join(ROOT, 'test', '.readme-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it.each(programs(read(document)))(
    'run and print what they say: $heading',
    ({ source, exitCode, output }) => {
      const file = join(dir, 'program.ts');
      const scratch = join(dir, 'tmp');
      mkdirSync(scratch, { recursive: true });
      writeFileSync(file, source);
      const run = spawnSync(process.execPath, [file], {
        encoding: 'utf8',
        env: { ...process.env, PLIMSOLL: '', PLIMSOLL_FORCE_SPILL: '', NODE_OPTIONS: '', TMPDIR: scratch },
        timeout: LONGEST_MS,
      });
      expect(run.status, run.stderr).toBe(exitCode);
      if (output !== undefined) expect(run.stdout).toBe(output);
    },
    LONGEST_MS + 5_000,
  );
});

describe.each(DOCUMENTS)('%s', (document) => {
  it('names commands that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const gates = found('{test,apps/*/test}/gates/*.ts', /^ {2}name: '([\w-]+)'/gm);
    const text = read(document);
    for (const [, name] of text.matchAll(/npm run ([\w:-]+)/g)) expect(scripts).toHaveProperty(name!);
    for (const [, name] of text.matchAll(/npm run verify -- ([\w-]+)/g)) expect(gates).toContain(name!);
  });

  it('has links that lead somewhere', () => {
    for (const [, link = ''] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (link.includes('://')) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? document : join(dirname(document), path);
      expect(existsSync(join(ROOT, target)), link).toBe(true);
      if (anchor !== undefined) expect(anchors(read(target)), link).toContain(anchor);
    }
  });
});

describe('README.md', () => {
  it('has an example with its output, commands and links', () => {
    const text = read('README.md');
    expect(programs(text)[0]?.output).toBeDefined();
    expect([...text.matchAll(/npm run ([\w:-]+)/g)].length).toBeGreaterThan(3);
    expect([...text.matchAll(/\]\([^)]+\)/g)].length).toBeGreaterThan(5);
  });

  it('has each error code of the library in its table, and no other', () => {
    const table = new Set([...read('README.md').matchAll(/^\| `(PLIMSOLL_\w+)` \|/gm)].map(([, code]) => code!));
    expect([...table].sort()).toEqual([...codesThrown()].sort());
  });
});

/** As GitHub makes them of headings. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

function codesThrown(): Set<string> {
  return found('src/**/*.ts', /code: '(PLIMSOLL_\w+)'/g);
}

/** What the first group of a pattern finds in files. */
function found(files: string, pattern: RegExp): Set<string> {
  const texts = globSync(files, { cwd: ROOT }).map(read);
  return new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([, word]) => word!)));
}
