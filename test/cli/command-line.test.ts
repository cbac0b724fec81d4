import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandTree, runCommandLine } from '../../src/cli/command-line.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { drawnOn, hasColour } from '../../src/cli/screen.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-command-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function screen(env: Record<string, string> = {}) {
  const texts = { stdout: '', stderr: '' };
  const outlet = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      texts[name] += text;
    },
  });
  return { texts, stdout: outlet('stdout'), stderr: outlet('stderr'), env, clock: new ManualClock() };
}

async function run(...args: string[]) {
  const own = screen();
  const end = await runCommandLine(args, { version: '1.2.3', screen: own });
  return { ...own.texts, ...end };
}

describe('a command line that cannot be made sense of', () => {
  it.each([
    ['an unknown command', ['dokter'], /^plimsoll: unknown command 'dokter' \(Did you mean doctor\?\)\n$/],
    [
      'an unknown option',
      ['run', '--limt', '1', '--', 'node'],
      /^plimsoll: unknown option '--limt' \(Did you mean --limit\?\)\n$/,
    ],
    ['no program', ['run'], /^plimsoll: missing required argument 'command': plimsoll run -- node app\.js\n$/],
    [
      'a size without a unit that can be told',
      ['run', '--limit', '3M', '--', 'node'],
      /^plimsoll: .*'3M' is invalid\. Expected a size like `512MiB`, got `3M`\n$/,
    ],
    [
      'a limit of nothing',
      ['doctor', '--limit', '0'],
      /^plimsoll: Expected `limitBytes` to be a whole number from 1 up, got `0` \(number\)\n$/,
    ],
    [
      'a limit too small for Node',
      ['run', '--limit', '20MiB', '--', 'node'],
      /^plimsoll: --limit 20MiB is too small for Node: at least 56MiB .*\n$/,
    ],
    [
      'a mode that there is not',
      ['run', '--mode', 'off', '--', 'node'],
      /^plimsoll: .*Allowed choices are observe, on\.\n$/,
    ],
    [
      'a file that is not there',
      ['report', '/nowhere/at/all'],
      /^plimsoll: cannot read \/nowhere\/at\/all: ENOENT: no such file or directory\n$/,
    ],
    ['two files too few', ['diff', 'a'], /^plimsoll: missing required argument 'b'\n$/],
    ['one file too many', ['report', 'a', 'b'], /^plimsoll: too many arguments for 'report'.*\n$/],
    ['no process', ['top', 'abc'], /^plimsoll: `abc` is neither the number of a process nor an http URL\n$/],
    ['no URL', ['top', 'http://'], /^plimsoll: the URL of the dashboard cannot be read\n$/],
    ['a shell that is not known', ['completion', 'csh'], /^plimsoll: .*Allowed choices are bash, zsh, fish\.\n$/],
  ])('for %s: one line, exit 2, no stack', async (_what, args, line) => {
    const { stdout, stderr, exitCode } = await run(...args);
    expect(stderr).toMatch(line);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
  });

  it('for a record that is damaged, or a report that cannot be written', async () => {
    const path = join(folder, 'damaged.json');
    writeFileSync(path, '{"version":1,"why":"x","samples":[null,null,null],"trains":[],"largest":[],"faults":[]}');
    expect(await run('report', path)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^plimsoll: .* is damaged: .*\n$/),
    });
    expect(await run('doctor', '--html', '/nowhere/x.html')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^plimsoll: cannot write \/nowhere\/x\.html: .*\n$/),
    });
  });
});

describe('a text of somebody else', () => {
  const evil = '\x1b]0;pwned\x07\x9b2J\u202ereversed';
  const harmful = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

  it.each([
    ['a file', ['report', evil]],
    ['a command', [evil]],
    ['an option', ['run', `--${evil}`]],
    ['a process', ['top', evil]],
    ['a program', ['run', '--', evil]],
  ])('moves no cursor and turns nothing around, as the name of %s that there is not', async (_what, args) => {
    const { stderr } = await run(...args);
    expect(stderr).toMatch(/^plimsoll: [^\n]*reversed[^\n]*\n$/);
    expect(stderr).not.toMatch(harmful);
  });

  it('stands escaped in JSON, which reads the same', async () => {
    const holder = { name: evil, kind: 'heap', ownBytes: 1, heldBytes: 1, peakBytes: 1, refusals: 0 };
    const dump = { version: 1, why: evil, samples: [], trains: [], largest: [holder], faults: [], level: 'high' };
    const path = join(folder, 'evil.json');
    writeFileSync(path, JSON.stringify(dump));
    const { stdout } = await run('report', '--json', path);
    expect(stdout).not.toMatch(harmful);
    expect(JSON.parse(stdout)).toEqual(dump);
    expect((await run('report', path)).stdout).not.toMatch(harmful);
  });
});

describe('the commands', () => {
  it('say what they do, with --help and without anything', async () => {
    expect(await run('--version')).toMatchObject({ stdout: '1.2.3\n', exitCode: 0 });
    const { stdout, exitCode } = await run('--help');
    expect(exitCode).toBe(0);
    for (const name of ['doctor', 'run', 'top', 'report', 'diff', 'completion']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
      const help = await run(name, '--help');
      expect(help).toMatchObject({ stderr: '', exitCode: 0 });
      for (const line of help.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    }
    const bare = await run();
    expect(bare.stderr).toMatch(/^Usage: plimsoll/);
    expect(bare.exitCode).toBe(2);
  });

  it('stand in docs/cli.md with every option', () => {
    const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8');
    for (const command of commandTree('0', screen(), () => {}).commands) {
      expect(page).toMatch(new RegExp(`^## .*\`plimsoll ${command.name()}`, 'm'));
      const section = page.split(new RegExp(`^## .*\`plimsoll ${command.name()}.*$`, 'm'))[1]!.split(/^## /m)[0]!;
      for (const { long } of command.options) expect(section, `${command.name()} ${long}`).toContain(`\`${long}`);
    }
  });

  it('give JSON that is the report', async () => {
    const { stdout, exitCode } = await run('doctor', '--json');
    const report = JSON.parse(stdout) as { kind: string; findings: { severity: string }[] };
    expect(report.kind).toBe('doctor');
    expect(exitCode).toBe(report.findings.some(({ severity }) => severity === 'wrong') ? 1 : 0);
  });

  it('say with 1 that there is nothing to watch', async () => {
    const { stderr, exitCode } = await run('top', '--feed', join(folder, 'none'));
    expect(stderr).toMatch(/^plimsoll: nothing writes a feed in .*: start a program with PLIMSOLL_FEED=on /);
    expect(exitCode).toBe(1);
    expect(await run('top', '4000000001', '--feed', folder)).toMatchObject({ exitCode: 1 });
  });
});

describe('completion', () => {
  const tree = commandTree('0', screen(), () => {});

  const script = completionScript(tree, 'bash');
  const complete = (...words: string[]) => {
    const call = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _plimsoll; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', `cd '${folder}'; ${script}\n${call}`], { encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout.trim().split('\n');
  };

  it('for bash completes commands, options and what they take', () => {
    expect(complete('plimsoll', 'd')).toEqual(['doctor', 'diff']);
    expect(complete('plimsoll', 'help', 'd')).toEqual(['doctor', 'diff']);
    expect(complete('plimsoll', 'run', '--no')).toEqual(['--no-heap-flags', '--no-live']);
    expect(complete('plimsoll', 'run', '--mode', 'o')).toEqual(['observe', 'on']);
    expect(complete('plimsoll', 'completion', 'f')).toEqual(['fish']);
  });

  it('for bash completes files where there can be one, with spaces too, and nowhere else', () => {
    for (const file of ['two words.json', 'two more.json']) writeFileSync(join(folder, file), '');
    const both = ['two more.json', 'two words.json'];
    for (const words of [['report'], ['diff'], ['diff', 'a'], ['run'], ['run', '--html'], ['doctor', '--html']])
      expect(complete('plimsoll', ...words, 'tw').sort(), words.join(' ')).toEqual(both);
    for (const words of [['doctor'], ['top'], ['completion'], ['help'], ['help', 'run'], ['run', '--limit']])
      expect(complete('plimsoll', ...words, 'tw'), words.join(' ')).toEqual(['']);
  });

  it('for bash completes commands and files behind --, however many words there are', () => {
    writeFileSync(join(folder, 'printf.js'), '');
    expect(complete('plimsoll', 'run', '--', 'printf')).toEqual(expect.arrayContaining(['printf', 'printf.js']));
    expect(complete('plimsoll', 'run', '--json', '--', 'node', '--mode', 'printf')).toEqual(['printf.js']);
    expect(complete('plimsoll', 'run', '--', 'node', '--js')).toEqual(['']);
  });

  it('for zsh and fish has every command and option', () => {
    for (const shell of ['zsh', 'fish'] as const) {
      const text = completionScript(tree, shell);
      for (const command of tree.commands) {
        expect(text).toContain(command.name());
        for (const { long } of command.options)
          expect(text).toContain(shell === 'zsh' ? `'${long}[` : `-l ${long!.slice(2)} `);
      }
      // Outside of single quotes nothing of a description is left that a shell would read.
      expect(text.split("'").length % 2).toBe(1);
    }
  });
});

describe('colour', () => {
  it('is for terminals, unless they or the user want none', () => {
    const terminal = { write: () => {}, isTTY: true };
    const pipe = { write: () => {} };
    expect(hasColour(terminal, {})).toBe(true);
    expect(hasColour(terminal, { NO_COLOR: '1' })).toBe(false);
    expect(hasColour(terminal, { TERM: 'dumb' })).toBe(false);
    expect(hasColour(pipe, {})).toBe(false);
    expect(hasColour(pipe, { FORCE_COLOR: '1' })).toBe(true);
    expect(hasColour(pipe, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
    expect(drawnOn(pipe, {})).toEqual({ width: 80, colour: false });
    expect(drawnOn({ ...pipe, columns: 0 }, {})).toEqual({ width: 80, colour: false });
  });
});
