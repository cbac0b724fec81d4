import { createGovernor, type LevelEvent, levelEvents, ManualClock, type RefusedEvent, refusedEvents } from 'plimsoll';
import { describe, expect, it } from 'vitest';

describe('events', () => {
  it('are published while somebody listens, and not after', () => {
    const levels: LevelEvent[] = [];
    const refused: RefusedEvent[] = [];
    const level = levelEvents.subscribe((event) => levels.push(event));
    const refusal = refusedEvents.subscribe((event) => refused.push(event));
    let used = 0;
    const meters = [{ name: 'rss' as const, limitBytes: 100, read: () => used }];
    const governor = createGovernor({ limitBytes: 100, runtimeBytes: 0, clock: new ManualClock(), meters });
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 10 });
    used = 90;
    governor.sample();
    consumer.tryReserve(11);
    level[Symbol.dispose]();
    refusal[Symbol.dispose]();
    used = 0;
    governor.sample();
    consumer.tryReserve(11);
    expect(levels).toEqual([{ from: 'optimal', to: 'critical', meter: 'rss', bytes: 90, limitBytes: 100 }]);
    expect(refused).toEqual([
      { consumer: 'feed', requestedBytes: 11, reason: 'max', boundBy: 'feed', availableBytes: 10, observed: false },
    ]);
    expect(levelEvents.heard).toBe(false);
  });
});
