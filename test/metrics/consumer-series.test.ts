import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsumerSeries, labelText, OTHER } from '../../src/metrics/consumer-series.ts';
import { madeConsumer } from './made-snapshot.ts';

const shown = (series: ConsumerSeries) =>
  series.groups.map(({ consumer, kind, ownBytes }) => [consumer, kind, ownBytes]);
const refusals = (series: ConsumerSeries) =>
  Object.fromEntries(series.groups.map((group) => [group.consumer, group.refusals]));
const reclaim = (claimedBytes: number, releasedBytes: number) => ({
  reclaim: { calls: 1, claimedBytes, releasedBytes, faults: 0, overruns: 0 },
});

describe('consumers in metrics', () => {
  it('are the largest by name, and the rest together, by kind', () => {
    const series = new ConsumerSeries(2);
    series.update([
      madeConsumer('small', 1),
      madeConsumer('large', 30),
      madeConsumer('buffers', 2, { kind: 'external' }),
      madeConsumer('middle', 20),
      madeConsumer('tiny', 1),
    ]);
    expect(shown(series)).toEqual([
      ['large', 'heap', 30],
      ['middle', 'heap', 20],
      ['other', 'heap', 2],
      ['other', 'external', 2],
    ]);
  });

  it('of one name are one series: a label that is given twice would break the whole scrape', () => {
    const series = new ConsumerSeries(9);
    series.update([
      madeConsumer('rows', 5, { maxBytes: 10, refusals: 1, ...reclaim(7, 6) }),
      madeConsumer('rows', 6, { maxBytes: 20, refusals: 2, ...reclaim(3, 2) }),
      madeConsumer('rows', 1, { kind: 'external' }),
      madeConsumer('open', 1, { maxBytes: 5 }),
      madeConsumer('open', 1),
    ]);
    const [rows, external, open] = series.groups;
    expect(rows).toMatchObject({ consumer: 'rows', ownBytes: 11, maxBytes: 30, refusals: 3, claimedBytes: 10 });
    expect(rows).toMatchObject({ releasedBytes: 8, calls: 2 });
    expect(external).toMatchObject({ consumer: 'rows', kind: 'external', ownBytes: 1 });
    expect(open).not.toHaveProperty('maxBytes');
  });

  it('whose names a wire would make one are one: control characters, halves of surrogate pairs', () => {
    expect(labelText('a\nb\u202ec')).toBe('a b c');
    expect(labelText('half \ud800')).toBe('half \ufffd');
    expect(labelText('whole 🚢')).toBe('whole 🚢');
    const series = new ConsumerSeries(9);
    series.update([
      madeConsumer('a\nb', 1),
      madeConsumer('a\tb', 2),
      madeConsumer('x\ud800', 3),
      madeConsumer('x\udfff', 4),
    ]);
    expect(shown(series)).toEqual([
      ['a b', 'heap', 3],
      ['x\ufffd', 'heap', 7],
    ]);
  });

  it('one that is called other stands with the others', () => {
    const series = new ConsumerSeries(1);
    series.update([madeConsumer(OTHER, 50), madeConsumer('a', 9), madeConsumer('b', 8)]);
    expect(shown(series)).toEqual([
      ['a', 'heap', 9],
      ['other', 'heap', 58],
    ]);
  });

  it('a total does not jump when a consumer comes to be shown, or is not shown any more', () => {
    const series = new ConsumerSeries(1);
    const update = (a: [number, number], b: [number, number]) =>
      series.update([madeConsumer('a', a[0], { refusals: a[1] }), madeConsumer('b', b[0], { refusals: b[1] })]);
    update([10, 1_000], [1, 500]);
    expect(refusals(series)).toEqual({ a: 1_000, other: 500 });
    update([1, 1_001], [10, 502]);
    expect(refusals(series)).toEqual({ b: 2, other: 501 });
    update([10, 1_004], [1, 502]);
    expect(refusals(series)).toEqual({ a: 3, other: 501 });
    expect(series.all.refusals).toBe(1_506);
  });

  it('a total of one that is gone stays in that of all, and comes back from 0', () => {
    const series = new ConsumerSeries(5);
    series.update([madeConsumer('a', 1, reclaim(100, 90))]);
    series.update([]);
    expect(series.groups).toEqual([]);
    series.update([madeConsumer('a', 1, reclaim(10, 9))]);
    expect(series.groups[0]).toMatchObject({ claimedBytes: 10, releasedBytes: 9 });
    expect(series.all).toMatchObject({ claimedBytes: 110, releasedBytes: 99 });
  });

  it('two of nearly the same size do not take turns', () => {
    const series = new ConsumerSeries(1);
    series.update([madeConsumer('a', 100), madeConsumer('b', 90)]);
    series.update([madeConsumer('a', 100), madeConsumer('b', 120)]);
    expect(shown(series)[0]![0]).toBe('a');
    series.update([madeConsumer('a', 100), madeConsumer('b', 126)]);
    expect(shown(series)[0]![0]).toBe('b');
  });

  it('holders of one type behind one name are added up, those of another are left out', () => {
    const series = new ConsumerSeries(5);
    const holder = (type: string, hits: number) => ({ holder: { type, health: 'ok' as const, counts: { hits } } });
    series.update([madeConsumer('a', 1, holder('cache', 3)), madeConsumer('a', 1, holder('cache', 4))]);
    expect(series.groups[0]!.holder).toEqual({ type: 'cache', counts: { hits: 7 } });
    series.update([madeConsumer('a', 1, holder('cache', 3)), madeConsumer('a', 1, holder('pool', 4))]);
    expect(series.groups[0]!.holder).toEqual({ type: 'cache', counts: { hits: 3 } });
  });

  it('whatever comes and goes: within the bound, all bytes in it, no total of the others goes down, none is counted twice', () => {
    const row = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', OTHER),
      kind: fc.constantFrom('heap' as const, 'external' as const),
      ownBytes: fc.nat(100),
      refused: fc.nat(5),
    });
    const looks = fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 12 });
    fc.assert(
      fc.property(looks, fc.nat(4), (given, most) => {
        const series = new ConsumerSeries(most);
        const before = new Map<string, number>();
        let all = 0;
        const totals = new Map<string, number>();
        for (const rows of given) {
          // Each name and kind once, with a total that only grows.
          const unique = [...new Map(rows.map((each) => [`${each.name} ${each.kind}`, each])).values()];
          const made = unique.map(({ name, kind, ownBytes, refused }) => {
            const total = (totals.get(`${name} ${kind}`) ?? 0) + refused;
            totals.set(`${name} ${kind}`, total);
            return madeConsumer(name, ownBytes, { kind, refusals: total });
          });
          series.update(made);
          const keys = series.groups.map(({ consumer, kind }) => `${consumer} ${kind}`);
          expect(new Set(keys).size).toBe(keys.length);
          expect(series.groups.filter(({ consumer }) => consumer !== OTHER).length).toBeLessThanOrEqual(most);
          expect(sum(series.groups.map(({ ownBytes }) => ownBytes))).toBe(sum(made.map(({ ownBytes }) => ownBytes)));
          for (const { consumer, kind, refusals: value } of series.groups) {
            if (consumer !== OTHER) continue;
            expect(value).toBeGreaterThanOrEqual(before.get(kind) ?? 0);
            before.set(kind, value);
          }
          expect(series.all.refusals).toBeGreaterThanOrEqual(all);
          all = series.all.refusals;
        }
      }),
    );
  });
});

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
