// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders are those of the configuration.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'playlist-launch-'));
const script = join(folder, 'main.ts');
const configFile = join(folder, 'my.toml');
const launch = join(import.meta.dirname, '../../src/launch.ts');

beforeAll(() => {
  writeFileSync(
    script,
    `import { relaunchWithHeapFlags, takeHandover } from ${JSON.stringify(launch)};
    if (process.argv.includes('--no-execve')) process.execve = undefined;
    const command = { kind: 'serve', configFile: 'x', overrides: { host: process.argv[3] }, quiet: true };
    const before = process.pid;
    await relaunchWithHeapFlags({ configFile: ${JSON.stringify(configFile)}, overrides: { memoryLimit: process.argv[2] }, command });
    const handover = takeHandover();
    const left = Object.keys(process.env).filter((key) => key.startsWith('PLIMSOLL_HANDOVER'));
    const { getHeapStatistics } = await import('node:v8');
    console.log(JSON.stringify({ pid: process.pid, before, ppid: process.ppid, left, handover, execArgv: process.execArgv, argv: process.argv.slice(2),
      heap: getHeapStatistics().heap_size_limit, arenas: process.env.MALLOC_ARENA_MAX }));
    if (process.argv.includes('--fail')) process.exit(7);
    if (process.argv.includes('--term')) process.kill(process.pid, 'SIGTERM');`,
  );
  writeFileSync(configFile, '[[source]]\nurl = "https://me:${SECRET}@tv.example/"\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, ['--conditions=source', '--max-old-space-size=3000', script, ...args], {
    encoding: 'utf8',
    env: { ...process.env, SECRET: 'hunter2', ...env },
  });
}

describe('relaunchWithHeapFlags', () => {
  it.each([[[]], [['--no-execve']]])(
    'starts Node anew once, with flags for the limit and what was read: %j',
    (extra) => {
      const { stdout, stderr, status, pid } = run(['128MiB', 'läuft ☃', ...extra]);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      const result = JSON.parse(stdout);
      if (extra.length === 0) expect(result.pid).toBe(pid);
      else expect(result.ppid).toBe(pid);
      expect(result.heap).toBeLessThan(128 * 1024 ** 2);
      expect(result.execArgv).toContain('--conditions=source');
      expect(result.execArgv).not.toContain('--max-old-space-size=3000');
      expect(result.argv).toEqual(['128MiB', 'läuft ☃', ...extra]);
      expect(result.handover.command.overrides.host).toBe('läuft ☃');
      expect(result.handover.config.memory.limitBytes).toBe(128 * 1024 ** 2);
      expect(result.handover.config.sources[0].origin.url).toContain('hunter2');
      expect(result.left).toEqual([]);
      expect(result.arenas).toBe('1');
    },
  );

  it('keeps exit codes and signals in the fallback, and what the user set for the allocator', () => {
    expect(run(['128MiB', 'x', '--no-execve', '--fail']).status).toBe(7);
    expect(run(['128MiB', 'x', '--no-execve', '--term']).status).toBe(143);
    expect(JSON.parse(run(['128MiB', 'x'], { MALLOC_ARENA_MAX: '3' }).stdout).arenas).toBe('3');
  });

  it('is not fooled by a mark or pieces inherited from another process', () => {
    const { stdout, status } = run(['128MiB', 'x'], {
      PLIMSOLL_LAUNCHED: 'pid 1',
      PLIMSOLL_HANDOVER_0: '{"nonsense":',
      PLIMSOLL_HANDOVER_1: 'x',
    });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).handover.command.kind).toBe('serve');
  });

  it('hands nothing over when it is too large, and still starts anew', () => {
    const rules = Array.from(
      { length: 12_000 },
      (_, i) => `[[rule]]\nset = 'group_title = "${i} ${'x'.repeat(40)}"'\n`,
    ).join('');
    const before = '[[source]]\nurl = "https://me:${SECRET}@tv.example/"\n';
    writeFileSync(configFile, before + rules);
    const { stdout, status } = run(['128MiB', 'x']);
    writeFileSync(configFile, before);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).handover).toBeUndefined();
    expect(JSON.parse(stdout).heap).toBeLessThan(128 * 1024 ** 2);
  });

  it('hands over every character, wherever the cut between two pieces falls', () => {
    const before = '[[source]]\nurl = "https://me:${SECRET}@tv.example/"\n';
    // One of the two has its cuts inside a surrogate pair.
    for (const shift of ['', 'x']) {
      const set = `group_title = "${shift}${'\u{1f600}'.repeat(18_000)}é\u2028"`;
      writeFileSync(configFile, `${before}[[rule]]\nset = '${set}'\n`);
      const { stdout, status } = run(['128MiB', 'x']);
      writeFileSync(configFile, before);
      expect(status).toBe(0);
      expect(JSON.parse(stdout).handover?.config.rules[0].set === set).toBe(true);
    }
  });

  it('fails before anything is started when the limit is too small or the configuration wrong', () => {
    expect(run(['33MiB', 'x']).stderr).toMatch(/memory limit \(configured\): Expected `limitBytes` to be at least/);
    expect(run(['lots', 'x']).stderr).toMatch(/--memory-limit: Expected a size like `256MiB`, got `lots`/);
  });
});
