import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { ownerMark } from 'plimsoll/spill';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { makeRunFolder, removeRunFolder, sweepRunFolders } from '../../src/cli/run-folder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-faults-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `plimsoll run` says of a program, and ends with. */
async function run(options: readonly string[], program: string) {
  const { NODE_OPTIONS: _, PLIMSOLL: __, ...env } = process.env;
  const texts = { stdout: '', stderr: '' };
  const outlet = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      texts[name] += text;
    },
  });
  const screen = { stdout: outlet('stdout'), stderr: outlet('stderr'), env, clock: new ManualClock() };
  const args = ['run', ...options, '--', process.execPath, '-e', program];
  const { exitCode, signal } = await runCommandLine(args, { version: '0', screen });
  return { ...texts, end: signal ?? exitCode };
}

describe('a report that cannot be written', () => {
  it.each([
    ['--report', '/nonexistent/x.txt'],
    ['--html', '/nonexistent/x.html'],
    ['--report', tmpdir()],
  ])('is refused before the program starts: %s %s', async (option, path) => {
    const trace = join(folder, 'ran');
    const { end, stderr } = await run([option, path], `fs.writeFileSync(${JSON.stringify(trace)}, '')`);
    expect({ end, ran: existsSync(trace) }).toEqual({ end: 2, ran: false });
    expect(stderr).toMatch(/^plimsoll: cannot write [^\n]*\n$/);
  });

  it('at the end, leaves the program its exit code, and the report stands on standard error', async () => {
    const target = join(folder, 'taken');
    mkdirSync(target);
    const [text, html] = [join(target, 'x.txt'), join(folder, 'x.html')];
    const program = `fs.rmSync(${JSON.stringify(target)}, { recursive: true }); process.exit(3)`;
    const { end, stderr } = await run(['--report', text, '--html', html], program);
    expect(end).toBe(3);
    expect(stderr).toMatch(/^plimsoll: cannot write .*x\.txt: ENOENT[^\n]*\nplimsoll run: /);
    expect(readFileSync(html, 'utf8')).toContain('<h1>plimsoll run: ');
  });

  it('as a page only, costs nothing of the text', async () => {
    const target = join(folder, 'gone');
    mkdirSync(target);
    const program = `fs.rmSync(${JSON.stringify(target)}, { recursive: true }); process.exit(4)`;
    const { end, stderr } = await run(['--html', join(target, 'x.html')], program);
    expect(end).toBe(4);
    expect(stderr).toMatch(/^plimsoll run: .*\nplimsoll: cannot write .*x\.html: ENOENT[^\n]*\n$/s);
  });
});

describe('a machine without a folder for temporary files', () => {
  it('runs the program nevertheless, and says in one line that nothing looks at it', async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = '/nonexistent';
    try {
      const { end, stderr } = await run([], 'process.exit(5)');
      expect(end).toBe(5);
      expect(stderr).toMatch(/^plimsoll: the program runs, and nothing looks at it: ENOENT[^\n]*\nplimsoll run: /);
      expect(stderr.replaceAll(/\s+/g, ' ')).toContain('- Nothing was looked at: there is no folder for it: ENOENT');
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });
});

describe('a run that is killed', () => {
  it('leaves a folder that is gone when another has run', async () => {
    const parent = mkdtempSync(join(folder, 'swept-'));
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    mkdirSync(join(parent, `plimsoll-run-${ownerMark().replace(/^\d+-\d+/, `${pid}-1`)}-abcdef`));
    vi.stubEnv('TMPDIR', parent);
    try {
      expect((await run([], '')).end).toBe(0);
      expect(readdirSync(parent)).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('leaves a folder that the next one removes, and no other', async () => {
    const parent = mkdtempSync(join(folder, 'parent-'));
    // Of this boot, and of a process that has ended.
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const gone = ownerMark().replace(/^\d+-\d+/, `${pid}-1`);
    mkdirSync(join(parent, `plimsoll-run-${gone}-abcdef`, 'deep'), { recursive: true });
    writeFileSync(join(parent, `plimsoll-run-${gone}-ghijkl`), '');
    mkdirSync(join(parent, `other-${gone}-abcdef`));
    mkdirSync(join(parent, 'plimsoll-run-abcdef'));
    const own = makeRunFolder(parent);
    await sweepRunFolders(parent);
    expect(readdirSync(parent).toSorted()).toEqual(
      [`other-${gone}-abcdef`, basename(own), `plimsoll-run-${gone}-ghijkl`, 'plimsoll-run-abcdef'].toSorted(),
    );
    removeRunFolder(own);
    expect(existsSync(own)).toBe(false);
    await sweepRunFolders(join(parent, 'nowhere'));
  });
});
