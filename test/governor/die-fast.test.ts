import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { DieFast } from '../../src/governor/die-fast.ts';
import { Faults } from '../../src/governor/faults.ts';

function make(afterMs: number, more: { onDie?: () => void; exitCode?: number } = {}) {
  const exits: number[] = [];
  const lines: string[] = [];
  const faults = new Faults();
  const dieFast = new DieFast({
    afterMs,
    faults,
    onDie: () => {},
    ...more,
    exit: (code) => void exits.push(code),
    say: (line) => void lines.push(line),
  });
  return { dieFast, exits, lines, faults };
}

/** Samples 50 ms apart, with a train before the second. */
function emergency(dieFast: DieFast, forMs: number, fromMs = 0, trains = true): number {
  let now = fromMs;
  for (; now <= fromMs + forMs; now += 50) dieFast.note('emergency', false, trains && now > fromMs ? 1 : 0, now);
  return now;
}

describe('dying fast', () => {
  it('ends the process once the emergency has lasted, with one line that says why', () => {
    const { dieFast, exits, lines } = make(10_000);
    emergency(dieFast, 9_950);
    expect(exits).toEqual([]);
    dieFast.note('emergency', false, 3, 10_000);
    expect(exits).toEqual([75]);
    expect(lines).toEqual(['plimsoll: emergency for 10.0 s and 3 trains did not help: exiting with code 75\n']);
    dieFast.note('emergency', false, 3, 20_000);
    expect(exits).toEqual([75]);
  });

  it('begins anew after a break', () => {
    const { dieFast, exits } = make(1_000);
    let now = emergency(dieFast, 900);
    dieFast.note('critical', false, 1, now);
    expect(dieFast.emergencyMs).toBe(0);
    now = emergency(dieFast, 900, now);
    expect(exits).toEqual([]);
  });

  it('lets live a process whose books are full: to refuse is the work of a governor', () => {
    const { dieFast, exits } = make(1_000);
    for (let now = 0; now < 60_000; now += 50) dieFast.note('emergency', true, 5, now);
    expect(exits).toEqual([]);
  });

  it('gives three times as long when no train could run', () => {
    const { dieFast, exits } = make(1_000);
    emergency(dieFast, 2_950, 0, false);
    expect(exits).toEqual([]);
    dieFast.note('emergency', false, 0, 3_000);
    expect(exits).toEqual([75]);
  });

  it('waits no longer for one that ended shortly before and helped too little, but for a heap that is full it has to run within', () => {
    for (const [endedMs, isShort] of [
      [1, true],
      [999, true],
      [1_000, false],
    ] as const) {
      const { dieFast, exits, lines } = make(1_000);
      dieFast.note('critical', false, 1, 0);
      dieFast.note('critical', false, 2, 10);
      for (let now = 10 + endedMs; now < 1_010 + endedMs; now += 50) dieFast.note('emergency', false, 2, now, true);
      expect(exits).toEqual([]);
      dieFast.note('emergency', false, 2, 1_010 + endedMs);
      expect(exits).toEqual(isShort ? [75] : []);
      if (isShort) expect(lines[0]).toMatch(/for 1\.0 s and 1 train did not help/);
    }
  });

  it('is not fooled by a clock that jumps: a machine that was asleep for a week lives on', () => {
    const { dieFast, exits } = make(10_000);
    dieFast.note('emergency', false, 0, 0);
    dieFast.note('emergency', false, 1, 7 * 86_400_000);
    dieFast.note('emergency', false, 1, 86_400_000);
    dieFast.note('emergency', false, 1, Number.NaN);
    dieFast.note('emergency', false, 1, 9 * 86_400_000);
    expect(exits).toEqual([]);
    expect(dieFast.emergencyMs).toBeLessThanOrEqual(5_000);
  });

  it('dies also when the dump cannot be written', () => {
    const { dieFast, exits, faults } = make(1_000, {
      exitCode: 3,
      onDie: () => {
        throw new Error('no disk');
      },
    });
    emergency(dieFast, 1_100);
    expect(exits).toEqual([3]);
    expect(faults.rows()).toMatchObject([{ part: 'die fast', message: 'no disk' }]);
  });

  it.each([
    [{ afterMs: 0 }, 'Expected `dieFast.afterMs`'],
    [{ afterMs: Number.NaN }, 'Expected `dieFast.afterMs`'],
    [{ afterMs: 1, exitCode: 256 }, 'Expected `dieFast.exitCode`'],
  ])('refuses %j', (options, message) => {
    expect(() => new DieFast({ ...options, faults: new Faults(), onDie: () => {} })).toThrow(message);
  });

  it('kills only after an unbroken emergency of that length, of five samples at least, and always then', () => {
    const step = fc.record({
      level: fc.oneof(
        { weight: 1, arbitrary: fc.constantFrom(...PRESSURE_LEVELS) },
        { weight: 12, arbitrary: fc.constant('emergency' as PressureLevel) },
      ),
      byLedger: fc.oneof({ weight: 15, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      train: fc.boolean(),
      stepMs: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: -1e6, max: 1e9 })),
    });
    let deaths = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 4_000 }), (steps, afterMs) => {
        const { dieFast, exits } = make(afterMs);
        const run = { ms: 0, samples: 0, trains: 0, calm: 0 };
        let trainCount = 0;
        let trainedAt = Number.NEGATIVE_INFINITY;
        let now = 0;
        dieFast.note('optimal', false, 0, 0);
        for (const { level, byLedger, train, stepMs } of steps) {
          now += stepMs;
          if (train) {
            trainCount++;
            trainedAt = now;
          }
          const isLost = level === 'emergency' && !byLedger;
          if (!isLost) Object.assign(run, { ms: 0, samples: 0, trains: 0, calm: 0 });
          else {
            if (run.samples > 0) {
              run.ms += Math.max(0, stepMs);
              run.calm += Math.min(Math.max(0, stepMs), afterMs / 4);
              if (train) run.trains++;
            } else if (now >= trainedAt && now - trainedAt < afterMs) run.trains++;
            run.samples++;
          }
          dieFast.note(level, byLedger, trainCount, now);
          if (exits.length > 0) {
            deaths++;
            expect(isLost).toBe(true);
            expect(run.ms).toBeGreaterThanOrEqual(afterMs);
            expect(run.samples).toBeGreaterThanOrEqual(5);
            return;
          }
          expect(run.calm < (run.trains > 0 ? afterMs : 3 * afterMs)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(deaths).toBeGreaterThan(50);
  });

  it.each([
    ['throws', "throw new Error('no')"],
    ['ends the process itself, as if all were well', 'process.exit(0)'],
    ['sets another code', 'process.exitCode = 0'],
    ['takes the end away', 'process.reallyExit = () => {}'],
  ])('ends a process with its code also when a listener of exit %s', (_, statement) => {
    const script = `
      import { DieFast } from ${JSON.stringify(join(import.meta.dirname, '../../src/governor/die-fast.ts'))};
      process.on('exit', () => { console.log('listener'); ${statement}; });
      const dieFast = new DieFast({ afterMs: 1000, faults: { note() {} }, onDie() {}, say() {} });
      let now = 0;
      // As the sampler does it: what is thrown is noted, and the next sample comes.
      setInterval(() => { try { dieFast.note('emergency', false, now > 0 ? 2 : 1, now); } catch {} now += 200; }, 1);
      setTimeout(() => process.reallyExit(9), 2000);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '--conditions=source', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect([child.status, child.stdout]).toEqual([75, 'listener\n']);
  });

  it('in a worker ends that worker, with its code, and not the process', () => {
    const worker = `
      import { DieFast } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../src/governor/die-fast.ts')).href)};
      process.on('exit', () => { throw new Error('no'); });
      const dieFast = new DieFast({ afterMs: 1000, faults: { note() {} }, onDie() {}, say() {} });
      for (let now = 0; ; now += 50) dieFast.note('emergency', false, now > 0 ? 2 : 1, now);`;
    const script = `
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)})));
      worker.on('error', (error) => console.log(error.message));
      worker.on('exit', (code) => setTimeout(() => console.log(code), 50));`;
    const child = spawnSync(process.execPath, ['--input-type=module', '--conditions=source', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect([child.status, child.stdout]).toEqual([0, '75\n']);
  });

  it('really ends a process, with the line on standard error', () => {
    const script = `
      import { DieFast } from ${JSON.stringify(join(import.meta.dirname, '../../src/governor/die-fast.ts'))};
      const dieFast = new DieFast({ afterMs: 1000, faults: { note() {} }, onDie: () => console.log('dump') });
      for (let now = 0; ; now += 50) dieFast.note('emergency', false, now > 0 ? 2 : 1, now);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '--conditions=source', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect([child.status, child.stdout]).toEqual([75, 'dump\n']);
    expect(child.stderr).toBe('plimsoll: emergency for 1.0 s and 1 train did not help: exiting with code 75\n');
  });
});
