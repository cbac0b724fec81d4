import fc from 'fast-check';
import { ResourceRegistry } from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { HELD, IDLE, NONE, ResourceSlots } from '../../src/lifetime/resource-slots.ts';

const content = (bytes: number) => {
  return { name: 'x', value: undefined, dispose: () => {}, bytes, kind: 0, priority: 0, sync: false };
};

function oldestWithBytes(slots: ResourceSlots): number {
  let slot = slots.oldestIn(IDLE);
  while (slot !== NONE && slots.bytesOf(slot) === 0) slot = slots.nextOf(slot);
  return slot;
}

describe('the oldest that weighs something', () => {
  it('is always known, whatever comes, goes, is used and is held', () => {
    const act = fc.record({ what: fc.constantFrom('add', 'light', 'free', 'touch', 'hold', 'idle'), at: fc.nat() });
    const check = fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const slots = new ResourceSlots(256);
      for (const { what, at } of acts) {
        const all = [...slots.all()];
        const slot = all[at % all.length];
        if (what === 'add' || what === 'light') slots.add(content(what === 'add' ? 5 : 0), 0);
        else if (slot !== undefined && what === 'free') slots.free(slot);
        else if (slot !== undefined && what === 'touch') slots.move(slot, slots.whereIs(slot), 0);
        else if (slot !== undefined) slots.move(slot, what === 'hold' ? HELD : IDLE, 0);
        expect(slots.oldestHeavy).toBe(oldestWithBytes(slots));
      }
    });
    fc.assert(check);
  });

  it('is found behind any number that weigh nothing, without passing them each time', () => {
    const registry = new ResourceRegistry({ name: 'things', maxCount: 10_000, maxBytes: 10 });
    for (let i = 0; i < 1_000; i++) registry.add({ name: 'light', dispose: () => {} });
    const next = vi.spyOn(ResourceSlots.prototype, 'nextOf');
    for (let i = 0; i < 100; i++) registry.touch(registry.add({ name: 'heavy', bytes: 5, dispose: () => {} }));
    expect(registry.stats).toMatchObject({ cleaned: 98, count: 1_002, bytes: 10 });
    expect(next.mock.calls.length).toBeLessThan(1_000);
    next.mockRestore();
  });
});
