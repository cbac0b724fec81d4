import type { Governor, HolderReport } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { setUp } from './fake-meter.ts';

const SOUND: HolderReport = { type: 'cache', health: 'ok', counts: { hits: 3, misses: 1 } };

/** The row and the faults of a consumer that says this of itself. */
function seen(report: () => unknown) {
  const { governor } = setUp();
  governor.consumer({ name: 'thing', kind: 'heap', maxBytes: 100, report: report as () => HolderReport });
  return { governor, ...look(governor) };
}

function look(governor: Governor) {
  const { consumers, faults } = governor.snapshot();
  return { row: consumers.find(({ name }) => name === 'thing'), faults };
}

describe('what a holder says of itself', () => {
  it('stands in the snapshot as it was said, and is asked for anew each time', () => {
    let hits = 0;
    const { governor, row } = seen(() => ({
      ...SOUND,
      health: 'degraded',
      why: 'the disk is full',
      counts: { hits: ++hits },
    }));
    expect(row!.holder).toEqual({ type: 'cache', health: 'degraded', why: 'the disk is full', counts: { hits: 1 } });
    expect(look(governor).row!.holder!.counts).toEqual({ hits: 2 });
  });

  it('is a copy: what the holder changes later does not change the snapshot', () => {
    const counts = { hits: 1 };
    const { row } = seen(() => ({ ...SOUND, counts }));
    counts.hits = 2;
    expect(row!.holder!.counts).toEqual({ hits: 1 });
  });

  it('is absent for those that say nothing', () => {
    const { governor } = setUp();
    governor.consumer({ name: 'thing', kind: 'heap', maxBytes: 100 });
    expect(look(governor).row).not.toHaveProperty('holder');
  });

  it('is bounded: names, reasons and the number of figures', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${i} ${'x'.repeat(1_000)}`, i]));
    const { row } = seen(() => ({ type: 'y'.repeat(1_000), health: 'failing', why: 'z'.repeat(10_000), counts: many }));
    const { type, why, counts } = row!.holder!;
    expect([type.length, why!.length, Object.keys(counts).length]).toEqual([40, 200, 40]);
    expect(Math.max(...Object.keys(counts).map((name) => name.length))).toBe(40);
  });

  it('is shown without the figures that are none', () => {
    const counts = {
      good: 1,
      nan: Number.NaN,
      infinite: Number.POSITIVE_INFINITY,
      text: '5',
      big: 5n,
      none: undefined,
      zero: 0,
    };
    expect(seen(() => ({ ...SOUND, counts })).row!.holder!.counts).toEqual({ good: 1, zero: 0 });
  });

  it('can be sent as JSON, also with a figure called __proto__', () => {
    const { row } = seen(() => ({ ...SOUND, counts: JSON.parse('{"__proto__": 5, "hits": 1}') }));
    expect(JSON.parse(JSON.stringify(row!.holder)).counts.hits).toBe(1);
    expect(Object.getPrototypeOf(row!.holder!.counts)).toBe(Object.prototype);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no figures');
      },
    ],
    ['returns nothing', () => undefined],
    ['returns a text', () => 'fine'],
    ['has a health of its own', () => ({ ...SOUND, health: 'splendid' })],
    ['has no counts', () => ({ type: 'cache', health: 'ok' })],
    [
      'has getters that throw',
      () => ({
        ...SOUND,
        get counts() {
          throw new Error('no');
        },
      }),
    ],
    ['has a type that cannot be shown', () => ({ ...SOUND, type: Object.create(null) })],
    [
      'has figures that cannot be read',
      () => ({
        ...SOUND,
        counts: new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('no');
            },
          },
        ),
      }),
    ],
  ])('is left out, and a fault, when the report %s; the other rows stand', (_, report) => {
    const { governor, row, faults } = seen(report);
    expect(row).toMatchObject({ name: 'thing', heldBytes: 0 });
    expect(row!.holder).toBeUndefined();
    expect(faults.some(({ part }) => part.includes('report of thing'))).toBe(true);
    expect(governor.snapshot().consumers.length).toBeGreaterThan(1);
  });

  it('is left out when it is a promise, and the rejection ends nothing', async () => {
    const { governor, row } = seen(async () => Promise.reject(new Error('later')));
    expect(row!.holder).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
    expect(look(governor).faults.some(({ part }) => part.includes('report of thing'))).toBe(true);
  });
});
