import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const PROJECT_DIR = join(import.meta.dirname, '..', '..');
const PROGRAMS = join(import.meta.dirname, 'programs');
const AUTO = ['--conditions=source', '--import', 'plimsoll/auto'];
const OWN_LINE = /^plimsoll: .*\n/gm;

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: number | string;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const { NODE_OPTIONS: _, PLIMSOLL: __, ...own } = process.env;
  const child = spawn(process.execPath, [...args], { cwd: PROJECT_DIR, env: { ...own, ...env } });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      texts[name] += chunk;
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { ...texts, end: code ?? signal! };
}

const program = (name: string): string => join(PROGRAMS, name);

describe('a program with auto', () => {
  it.concurrent('sees nothing of it in itself, and ends as it would', async () => {
    const bare = await run(['--conditions=source', program('looks-around.mjs'), 'one', '--two']);
    expect(bare.end).toBe(7);
    for (const mode of ['observe', 'on', 'off']) {
      expect(await run([...AUTO, program('looks-around.mjs'), 'one', '--two'], { PLIMSOLL: mode })).toEqual(bare);
    }
  });

  it.concurrent('falls as it would, by --require with the same stack', async () => {
    const bare = await run(['--conditions=source', program('falls.cjs')]);
    expect(bare.end).toBe(1);
    expect(bare.stderr).toContain('nobody catches this');
    const required = ['--conditions=source', '--require', 'plimsoll/auto'];
    expect(await run([...required, program('falls.cjs')], { PLIMSOLL: 'on' })).toEqual(bare);
    expect(await run([...AUTO, program('falls.cjs')], { PLIMSOLL: 'on' })).toMatchObject({
      stdout: bare.stdout,
      end: 1,
    });
  });

  it.concurrent('says what goes on and changes nothing, in a limit that is too small', async () => {
    // Calm, it looks once a second.
    const hold = { HOLD_MIB: '40', PAUSE_MS: '1500' };
    const bare = await run(['--conditions=source', program('answers.mjs')], hold);
    const { stdout, stderr, end } = await run([...AUTO, program('answers.mjs')], { ...hold, PLIMSOLL_LIMIT: '160MiB' });
    expect({ stdout, end }).toEqual({ stdout: bare.stdout, end: 3 });
    expect(stderr).toMatch(/^plimsoll: V8 may grow its heap to .*--max-old-space-size=87/m);
    expect(stderr).toMatch(/^plimsoll: (high|critical|emergency), \d+ of 160 MiB \((rss|external|cgroup)\)/m);
    expect(stderr.replaceAll(OWN_LINE, '')).toBe('');
  });

  it.concurrent('hears in a line each what cannot be read, and goes on', async () => {
    const { stdout, stderr, end } = await run([...AUTO, program('answers.mjs')], {
      PLIMSOLL: 'maybe',
      PLIMSOLL_SHARE: '7',
    });
    expect(end).toBe(3);
    expect(stdout).toContain('200 answer to /c');
    expect(stderr).toBe(
      'plimsoll: PLIMSOLL: Expected one of `observe`, `on`, `off`, got `maybe`: observe holds\n' +
        'plimsoll: PLIMSOLL_SHARE: Expected above 0 and up to 1, got `7`: 1 holds\n',
    );
  });

  it.concurrent('has a governor in each process and in none of its threads', async () => {
    const { stdout, stderr } = await run([...AUTO, program('spreads.mjs')], { PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed' });
    const told = '{\n  here: true,\n  inThread: false,\n  inChild: true,\n  inCluster: true,\n  code: 4\n}\n';
    expect({ stdout, stderr }).toEqual({ stdout: told, stderr: '' });
  });

  it.concurrent.each(['from the start', 'later'])(
    'answers and ends as it would when the governor breaks %s',
    async (when) => {
      const bare = await run(['--conditions=source', program('answers.mjs')]);
      const broken = ['--conditions=source', '--import', program('broken-auto.ts')];
      const env = { PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed', BROKEN: when };
      const { stdout, stderr, end } = await run([...broken, program('answers.mjs')], env);
      expect({ stdout, end }).toEqual({ stdout: bare.stdout, end: bare.end });
      expect(stderr).toContain('broken on purpose');
      expect(stderr.replaceAll(OWN_LINE, '')).toBe('');
    },
  );
});
