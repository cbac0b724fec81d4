import { createGovernor, GOVERNOR_DEFAULTS, type GovernorOptions, ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { PRESET_NAMES, PRESETS } from '../../src/governor/presets.ts';
import { MIB } from './fake-meter.ts';

const quiet = { clock: new ManualClock(), meters: [], root: '/nowhere', mode: 'on', runtimeBytes: 0 } as const;

describe('presets', () => {
  it.each(PRESET_NAMES)('%s makes a governor, and what is given beside it wins', (name) => {
    using governor = createGovernor({ ...quiet, ...PRESETS[name] });
    const { limitBytes }: GovernorOptions = PRESETS[name];
    if (limitBytes !== undefined) expect(governor.limitBytes).toBe(limitBytes);
    using other = createGovernor({ ...quiet, ...PRESETS[name], limitBytes: 7 * MIB });
    expect(other.limitBytes).toBe(7 * MIB);
  });

  it('are what their names say', () => {
    expect(PRESET_NAMES).toEqual(['edge', 'balanced', 'high-volume', 'development']);
    expect(PRESETS.balanced).toEqual({});
    const { edge, 'high-volume': volume, development } = PRESETS;
    expect([edge.limitBytes, volume.limitBytes]).toEqual([64 * MIB, 2_048 * MIB]);
    expect(development).not.toHaveProperty('limitBytes');
    expect(development.journal).toBe('detailed');
    const { maxWaiters, maxConsumers } = GOVERNOR_DEFAULTS;
    // The default is a sixty-fourth of the limit, up to 8 MiB.
    expect(edge.sampleEveryBytes).toBeLessThan(8 * MIB);
    expect(volume.sampleEveryBytes).toBeGreaterThan(8 * MIB);
    expect([edge.maxWaiters < maxWaiters, volume.maxWaiters > maxWaiters]).toEqual([true, true]);
    expect([edge.maxConsumers < maxConsumers, volume.maxConsumers > maxConsumers]).toEqual([true, true]);
    // However small the room between critical and the line, the next look comes before it is used up.
    for (const { limitBytes, sampleEveryBytes: every } of [edge, volume]) expect(every).toBeLessThan(limitBytes * 0.05);
  });

  it('none ends the process, and none can be changed', () => {
    for (const name of PRESET_NAMES) {
      expect(PRESETS[name]).not.toHaveProperty('dieFast');
      expect(Object.isFrozen(PRESETS[name])).toBe(true);
    }
  });
});
