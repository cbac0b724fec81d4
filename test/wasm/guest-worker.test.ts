import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PluginHost } from 'plimsoll/wasm';
import { describe, expect, it } from 'vitest';
import { WorkerChannel } from '../../src/wasm/worker-channel.ts';
import { CAP_BYTES } from './hostile-modules.ts';
import { plugin, STAGE } from './plugin-set-up.ts';
import { guest } from './wat.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');

function run(isolation: string, conditions: readonly string[]) {
  const args = [...conditions, join(PROGRAMS, 'upper-case.mjs'), isolation];
  const preload = `--import=${join(PROGRAMS, 'preload.mjs')}`;
  const env = { ...process.env, NODE_OPTIONS: preload, SECRET: 'of the host' };
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  expect(status, stderr).toBe(0);
  return {
    ...(JSON.parse(stdout) as { output: string; environments: string[][] }),
    preloads: stderr.match(/^preload.*$/gm),
  };
}

describe.each(['worker', 'process'])('what a guest runs in, isolation %s', (isolation) => {
  it.each([
    ['sources', ['--conditions=source']],
    ['what is built', []],
  ])('works from %s, with no environment of the host and nothing that the host preloads', (what, conditions) => {
    if (what !== 'sources' && !existsSync(join(import.meta.dirname, '../../dist/wasm/guest-worker.js'))) return;
    const { output, environments, preloads } = run(isolation, conditions);
    expect(output).toBe('HELLO');
    // Once, by the program itself.
    expect(preloads).toEqual([expect.stringMatching(/^preload \d+ true$/)]);
    if (process.platform === 'linux') expect(environments.length).toBe(isolation === 'process' ? 1 : 0);
    for (const environment of environments) {
      expect(environment.filter((each) => !/^NODE_CHANNEL_/.test(each))).toEqual([]);
    }
  });
});

describe('a worker', () => {
  it('is ended while it sleeps for an answer that never comes', async () => {
    const channel = new WorkerChannel();
    const bytes = await guest({ process: '(call $spill_size (i32.const 0))' });
    const asked = new Promise<void>((resolve) => {
      channel.listen({
        onReady: () => {},
        onEnd: () => {},
        onReport: (report) => {
          if (report.what === 'spill') resolve();
          else if (report.what === 'reply') channel.send({ op: 'process', input: new ArrayBuffer(1), length: 1 });
        },
      });
    });
    channel.send({
      op: 'open',
      module: bytes,
      minPages: 1,
      maxPages: 1,
      memoryImported: false,
      mutableGlobals: [],
      tableCount: 0,
      maxOutputBytes: 100,
      level: 0,
    });
    await asked;
    await channel.kill();
    await channel.kill();
  });

  it('that spins is gone within 50 ms of its limit', async () => {
    await using host = new PluginHost({
      maxPluginBytes: CAP_BYTES,
      maxTotalBytes: CAP_BYTES,
      timeoutMs: 100,
      maxFailures: 100,
      warmInstances: 1,
    });
    const spinning = await plugin({ process: '(loop $l (br $l)) (unreachable)' });
    const over: number[] = [];
    // On a machine that is busy with other things one try may be late: the best of several is what the host takes.
    for (let tries = 0; tries < 10 && !(Math.min(...over) < 50); tries++) {
      const instance = await host.open(spinning, STAGE).catch(() => undefined);
      if (instance === undefined) continue;
      const started = performance.now();
      await expect(instance.process(new Uint8Array(1))).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_TIMEOUT' });
      over.push(performance.now() - started - 100);
    }
    expect(Math.min(...over)).toBeLessThan(50);
    expect(Math.min(...over)).toBeGreaterThan(-2);
  });
});
