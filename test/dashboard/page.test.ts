import { describe, expect, it } from 'vitest';
import { eventText } from '../../dashboard-page/event-text.ts';
import { PointHistory } from '../../dashboard-page/point-history.ts';
import {
  bytesText,
  countText,
  holderCountText,
  msText,
  percentText,
  plainWords,
  signedBytesText,
} from '../../dashboard-page/wording.ts';
import type { MonitorEvent, ObservationPoint } from '../../src/observe/index.ts';

function point(number: number, consumers: Record<string, number> = {}): ObservationPoint {
  const reservedBytes = 100;
  const figures = {
    limitBytes: 1_000,
    reservedBytes,
    otherBytes: 0,
    collections: 0,
    pauseMs: 0,
    releasedBytes: 0,
    seenBytes: 0,
  };
  return { number, at: number * 1_000, level: 'optimal', meters: { rss: number * 10 }, consumers, ...figures };
}

describe('the points of the page', () => {
  it('what was missed while the connection was lost is filled in, and what comes twice counts once', () => {
    const history = new PointHistory();
    history.add([point(3), point(4)]);
    history.add([point(7)]);
    expect(history.gapFreeUpTo).toBe(4);
    history.add([point(5), point(6), point(7)]);
    expect(history.points.map(({ number }) => number)).toEqual([3, 4, 5, 6, 7]);
    expect(history.gapFreeUpTo).toBe(7);
    expect(history.times()).toEqual([3, 4, 5, 6, 7]);
    expect(history.column(({ meters }) => meters.heap)).toEqual([null, null, null, null, null]);
  });

  it('keeps an hour', () => {
    const history = new PointHistory();
    for (let n = 1; n <= 4_000; n++) history.add([point(n)]);
    expect([history.points.length, history.points[0]?.number]).toEqual([3_600, 401]);
    history.clear();
    expect([history.last, history.gapFreeUpTo]).toEqual([undefined, 0]);
  });

  it('stacks the largest, and everybody else on top up to what is reserved', () => {
    const history = new PointHistory();
    history.add([point(1, { a: 10, b: 30, c: 5 }), point(2, { a: 50 })]);
    expect(history.largestConsumers(2)).toEqual(['a', 'b']);
    expect(history.stack(['a', 'b'])).toEqual([
      [10, 50],
      [40, 50],
      [100, 100],
    ]);
  });
});

it('figures are said as they are read', () => {
  const figures = [
    bytesText(1_536),
    signedBytesText(-2_048),
    signedBytesText(5),
    percentText(0.0712),
    percentText(0.5),
  ];
  expect(figures).toEqual(['1.5\u00a0KiB', '\u22122\u00a0KiB', '+5\u00a0B', '7.1%', '50%']);
  expect([msText(0), msText(2.345), msText(1_500), msText(61_000)]).toEqual([
    '0\u00a0ms',
    '2.3\u00a0ms',
    '1.5\u00a0s',
    '1m 1s',
  ]);
  expect([countText(1_234_567), countText(0.5)]).toEqual(['1\u202f234\u202f567', '0.5']);
  expect(plainWords('tooLarge_x-y')).toBe('too large x y');
  expect(['idleBytes', 'waitMs', 'hitRatio', 'hits'].map((name) => holderCountText(name, 0.5))).toEqual([
    '1\u00a0B',
    '0.5\u00a0ms',
    '50%',
    '0.5',
  ]);
});

it('every kind of event has its words', () => {
  const base = { number: 1, at: 0, source: 'x' };
  const train = {
    kind: 'reclaim',
    how: 'smart',
    targetBytes: 1,
    claimedBytes: 3,
    releasedBytes: 2,
    seenBytes: 1,
    durationMs: 4,
  } as const;
  expect(eventText({ ...base, ...train })).toBe(
    '3\u00a0B claimed, 2\u00a0B released, 1\u00a0B observed, in 4.0\u00a0ms',
  );
  expect(eventText({ ...base, kind: 'stage', durationMs: 5, items: 7 } as MonitorEvent)).toBe('5.0\u00a0ms, 7 items');
  expect(eventText({ ...base, kind: 'error', message: 'broken', recoverable: true })).toBe('broken');
  expect(eventText({ ...base, kind: 'completed' })).toBe('');
});
