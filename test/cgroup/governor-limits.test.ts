import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { judgeDrift, judgeGoverned, judgeUngoverned } from './loads/judge-load.ts';
import { type LoadRun, runLoad } from './loads/run-load.ts';
import { whyNoLimits } from './memory-group.ts';

const whyNot =
  (await whyNoLimits()) ??
  (existsSync(join(import.meta.dirname, '../../dist/index.js')) ? undefined : 'there is no build: `npm run build`');
if (whyNot !== undefined) console.warn(`Tests of the governor in real limits are skipped: ${whyNot}.`);

const LIMIT_MIB = 128;

/** What the loads do with the governor and without is the gate `governor-limits`. */
describe.skipIf(whyNot !== undefined)(`in ${LIMIT_MIB} MiB`, () => {
  it('with PLIMSOLL=off the same flags and the same program do not help', async () => {
    const run = await runLoad({ load: 'cache', limitMib: LIMIT_MIB, governed: true, env: { PLIMSOLL: 'off' } });
    expect(run.oomKilled, run.stdout).toBe(true);
  }, 60_000);
});

describe('the judges', () => {
  const run: LoadRun = {
    exitCode: 0,
    signal: null,
    oomKilled: false,
    peakBytes: 0,
    rssPeakBytes: 0,
    anonymousPeakBytes: 0,
    elapsedMs: 1,
    timedOut: false,
    stdout: '',
    stderr: '',
    overAtMs: undefined,
    dumps: [],
    terminationLog: undefined,
    report: { asked: 2, done: 2, elapsedMs: 1, drift: [] },
  };
  const drift = (heap: number, external: number) =>
    ['heap', 'external', 'wasm'].map((of) => {
      return { of, reservedBytes: 100, observedBytes: of === 'heap' ? heap : external };
    });

  it('see who was killed, who was not, and work that was not done', () => {
    expect(() => judgeUngoverned('churn', 64, run)).toThrow('is not killed');
    expect(() => judgeGoverned('churn', 64, { ...run, oomKilled: true })).toThrow('the kernel killed it');
    expect(() => judgeGoverned('churn', 64, { ...run, report: { asked: 2, done: 1, elapsedMs: 1 } })).toThrow(
      '1 done of 2',
    );
    expect(() => judgeGoverned('churn', 64, { ...run, report: undefined })).toThrow('exit 0');
    expect(judgeGoverned('churn', 64, run)).toContain('alive');
    const refusing = { asked: 100, done: 100, elapsedMs: 1, answered: 9, refused: 91 };
    expect(() => judgeGoverned('requests', 64, { ...run, report: refusing })).toThrow('only 9 answered');
  });

  it('see a death without a reason', () => {
    const dead = {
      ...run,
      exitCode: 75,
      dumps: ['{"level":"emergency","samples":[]}'],
      terminationLog: 'standing records',
    };
    expect(judgeGoverned('leak', 64, dead)).toContain('dead by itself');
    expect(() => judgeGoverned('leak', 64, { ...dead, exitCode: 134 })).toThrow('exit 134');
    expect(() => judgeGoverned('leak', 64, { ...dead, dumps: [] })).toThrow('no dump');
    expect(() => judgeGoverned('leak', 64, { ...dead, dumps: ['{"level'] })).toThrow('cannot be read');
    expect(() => judgeGoverned('leak', 64, { ...dead, terminationLog: undefined })).toThrow('names no holder');
    expect(() => judgeGoverned('leak', 64, { ...dead, overAtMs: -9_000 })).toThrow('to die');
  });

  it('see books that are off', () => {
    expect(judgeDrift('cache', 64, { ...run, report: { ...run.report!, drift: drift(80, 110) } })).toContain('heap');
    expect(() => judgeDrift('cache', 64, { ...run, report: { ...run.report!, drift: drift(70, 100) } })).toThrow(
      'heap drifts',
    );
    expect(() => judgeDrift('cache', 64, { ...run, report: { ...run.report!, drift: drift(100, 120) } })).toThrow(
      'external drifts',
    );
    expect(() => judgeDrift('cache', 64, run)).toThrow('no drift of external');
  });
});
