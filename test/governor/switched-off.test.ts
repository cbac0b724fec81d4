/** What switching off, or only watching, must bring back: a service that runs as it would without a governor. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GovernorOptions } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

/** A folder with five dumps of an earlier process. */
class DumpFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'plimsoll-off-'));

  constructor() {
    for (let i = 1; i <= 5; i++) writeFileSync(join(this.path, `plimsoll-flight-1-${i}.json`), '{}');
  }

  get names(): string[] {
    return readdirSync(this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function full(): FakeMeter {
  const rss = new FakeMeter('rss');
  rss.bytes = 99 * MIB;
  return rss;
}

describe('mode `off`', () => {
  it('leaves files and hooks alone: no old dump is removed, none is written, nothing is listened for', () => {
    using folder = new DumpFolder();
    const listeners = process.listenerCount('uncaughtExceptionMonitor');
    const log = join(folder.path, 'termination-log');
    const { governor } = setUp({
      mode: 'off',
      flightRecorder: { folder: folder.path },
      terminationLog: log,
      meters: [full()],
    });
    expect(process.listenerCount('uncaughtExceptionMonitor')).toBe(listeners);
    governor[Symbol.dispose]();
    expect(folder.names).toHaveLength(5);
    expect(existsSync(log)).toBe(false);
    const none = join(folder.path, 'none');
    setUp({ mode: 'off', flightRecorder: { folder: none } }).governor[Symbol.dispose]();
    expect(existsSync(none)).toBe(false);
  });

  it('knows one level, `optimal`, whatever the one sample at the start has seen', () => {
    const { governor, clock } = setUp({ mode: 'off', meters: [full()] });
    expect([governor.level, governor.snapshot().level]).toEqual(['optimal', 'optimal']);
    governor.tune({ thresholds: { moderate: 0.4 } });
    clock.advance(60_000);
    expect([governor.level, governor.shouldShed('http.accept')]).toEqual(['optimal', false]);
    expect(setUp({ mode: 'observe', meters: [full()] }).governor.level).toBe('emergency');
  });

  it('refuses unsound options as `on` does: they would only be found when it is switched on again', () => {
    using folder = new DumpFolder();
    for (const mode of ['on', 'observe', 'off'] as const) {
      const make = (options: GovernorOptions) => () => setUp({ mode, ...options });
      expect(make({ flightRecorder: { folder: '' } })).toThrow('flightRecorder.folder');
      expect(make({ flightRecorder: { folder: folder.path, keep: 0 } })).toThrow('flightRecorder.keep');
      expect(make({ dieFast: { afterMs: -1 } })).toThrow('dieFast.afterMs');
      expect(make({ dieFast: { afterMs: 1, exitCode: 256 } })).toThrow('dieFast.exitCode');
    }
    expect(folder.names).toHaveLength(5);
  });
});

describe.each(['off', 'observe'] as const)('mode `%s`', (mode) => {
  it('opens more consumers than `maxConsumers`, and notes it', () => {
    // One of them is the runtime.
    const { governor } = setUp({ mode, maxConsumers: 3 });
    const open = () => governor.consumer({ name: 'session', kind: 'external', maxBytes: MIB });
    const held = Array.from({ length: 5 }, () => open().reserve(10));
    expect([held.length, governor.heldBytes]).toEqual([5, 50]);
    expect(governor.snapshot().faults).toMatchObject([{ part: 'maxConsumers', count: 3, off: false }]);
    expect(governor.snapshot().faults[0]!.message).toBe('more than 3 are open, which `on` would refuse');
  });

  it('runs more scopes than `maxScopes`, and notes it', async () => {
    const { governor } = setUp({ mode, maxScopes: 1 });
    const scope = { name: 'GET /', maxBytes: MIB };
    const answer = await governor.scope(scope, () => governor.scope(scope, () => governor.scope(scope, () => 42)));
    expect(answer).toBe(42);
    expect(governor.snapshot().faults).toMatchObject([{ part: 'maxScopes', count: 2, off: false }]);
  });
});

describe('mode `observe`', () => {
  it('writes diagnostics: dumps are for those who look', () => {
    using folder = new DumpFolder();
    mkdirSync(join(folder.path, 'own'));
    const rss = full();
    const { governor, clock } = setUp({
      mode: 'observe',
      flightRecorder: { folder: join(folder.path, 'own') },
      meters: [rss],
    });
    for (let i = 0; i < 10; i++) {
      governor.sample();
      clock.advance(500);
    }
    governor[Symbol.dispose]();
    expect(readdirSync(join(folder.path, 'own'))).toHaveLength(1);
  });
});
