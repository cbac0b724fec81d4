import { existsSync, globSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAPERS, paperFolder, programsOf, readPaper as read, runPaperProgram } from './paper-programs.ts';

const ROOT = join(import.meta.dirname, '..');

/** Those of the other papers are the gate `papers`. */
describe('the programs in README.md', () => {
  let dir: string;
  beforeAll(() => {
    dir = paperFolder();
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it.each(programsOf(read('README.md')))('run and print what they say: $heading', (program) => {
    const { exitCode, output, errors } = runPaperProgram(dir, program);
    expect(exitCode, errors).toBe(program.exitCode);
    if (program.output !== undefined) expect(output).toBe(program.output);
  });
});

describe.each(PAPERS)('%s', (document) => {
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
    expect(programsOf(text)[0]?.output).toBeDefined();
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
