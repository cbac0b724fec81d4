import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { whyNoLimits } from './memory-group.ts';
import { runInLimit } from './run-in-limit.ts';

const MIB = 1 << 20;
const whyNot = await whyNoLimits();
if (whyNot !== undefined) console.warn(`Tests in real memory limits are skipped: ${whyNot}.`);

const node = (code: string) => ({ command: process.execPath, args: ['-e', code] });

describe('watching without a limit', () => {
  it('reports the exit code, what was printed and a believable peak', async () => {
    const run = await runInLimit(
      node('Buffer.alloc(64 << 20, 1); console.log("out"); console.error("err"); process.exitCode = 3'),
    );
    expect(run).toMatchObject({ exitCode: 3, signal: null, oomKilled: false, stdout: 'out\n', stderr: 'err\n' });
    expect(run.rssPeakBytes).toBeGreaterThan(90 * MIB);
    expect(run.rssPeakBytes).toBeLessThan(250 * MIB);
  });

  it('kills what takes too long and says so', async () => {
    const run = await runInLimit({ ...node('setInterval(() => {}, 1000)'), timeoutMs: 300 });
    expect(run).toMatchObject({ timedOut: true, signal: 'SIGKILL', oomKilled: false });
  });
});

describe.skipIf(whyNot !== undefined)('a real limit', () => {
  it('lets the kernel kill what grows past it, and counts that', async () => {
    const run = await runInLimit({
      ...node('const held = []; for (;;) held.push(Buffer.alloc(1 << 20, 1));'),
      limitBytes: 96 * MIB,
    });
    expect(run).toMatchObject({ exitCode: null, signal: 'SIGKILL', oomKilled: true, timedOut: false });
    expect(run.peakBytes).toBeLessThanOrEqual(96 * MIB);
  });

  it('leaves alone what stays below, and does not take the page cache for a death', async () => {
    const run = await runInLimit({
      ...node(`
        const fs = require('node:fs'), path = require('node:path').join(require('node:os').tmpdir(), 'plimsoll-cache-' + process.pid);
        const file = fs.openSync(path, 'w'), chunk = Buffer.alloc(1 << 20, 1);
        for (let i = 0; i < 200; i++) fs.writeSync(file, chunk);
        fs.closeSync(file); fs.rmSync(path); console.log('done');`),
      limitBytes: 96 * MIB,
    });
    expect(run).toMatchObject({ exitCode: 0, oomKilled: false, stdout: 'done\n' });
    expect(run.anonymousPeakBytes).toBeLessThan(96 * MIB);
  });

  it('takes its group away again', () => {
    const root = existsSync('/sys/fs/cgroup/memory') ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
    expect(readdirSync(root).filter((name) => name.startsWith(`plimsoll-test-${process.pid}-`))).toEqual([]);
  });
});
