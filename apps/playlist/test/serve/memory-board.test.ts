import { createGovernor, ManualClock } from 'plimsoll';
import type { Monitor, NewMonitorEvent } from 'plimsoll/observe';
import type { PipelineProgress, PipelineReport } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';
import { MemoryBoard, RunEvents } from '../../src/serve/memory-board.ts';

function makeEvents() {
  const told: NewMonitorEvent[] = [];
  const record: Monitor['record'] = (event) => told.push(event as NewMonitorEvent) > 0;
  return { told, events: new RunEvents({ record }, 'home', ['Loading', 'Sorting']) };
}

const progress = (stage: string, elapsedMs: number, itemsOut: number) =>
  ({ stage, elapsedMs, stageElapsedMs: elapsedMs / 10 + 0.7, itemsOut, bytesOut: itemsOut * 10 }) as PipelineProgress;

it('a run is told as its stages in order, then as what each did since it was told of last, four times a second', () => {
  const { told, events } = makeEvents();
  events.progress(progress('Sorting', 0, 5));
  events.progress(progress('Sorting', 100, 9));
  events.progress(progress('Loading', 100, 7));
  events.progress(progress('Sorting', 260, 12));
  const stages = [
    { name: 'Loading', itemsOut: 8, bytesOut: 80, elapsedMs: 40 },
    { name: 'Sorting', itemsOut: 20, bytesOut: 200, elapsedMs: 60 },
  ];
  events.end({ stages } as unknown as PipelineReport, 'done');
  const rows = told.map((event) => [
    event.kind,
    event.source,
    ...('items' in event ? [event.items] : []),
    ...('durationMs' in event ? [event.durationMs] : []),
  ]);
  expect(rows).toEqual([
    ['started', 'home'],
    ['stage', 'home/Loading', 0, 0],
    ['stage', 'home/Sorting', 0, 0],
    ['stage', 'home/Sorting', 5, 0],
    ['stage', 'home/Loading', 7, 10],
    ['stage', 'home/Sorting', 7, 26],
    ['stage', 'home/Loading', 1, 30],
    ['stage', 'home/Sorting', 8, 34],
    ['completed', 'home'],
  ]);
});

it('a run that failed ends too', () => {
  const { told, events } = makeEvents();
  events.end(undefined, 'no source');
  expect(told.at(-1)).toEqual({ kind: 'completed', source: 'home', message: 'no source' });
});

it('stands below /dashboard, and refuses a token that it does not take', async () => {
  using governor = createGovernor({ limitBytes: 2 ** 26, clock: new ManualClock(), meters: [], terminationLog: false });
  const serve = {
    host: '127.0.0.1',
    port: 0,
    everyMs: undefined,
    token: 'correct horse',
    dashboard: true,
    dashboardHost: 'tv.example',
  };
  await using board = new MemoryBoard(governor, serve, 'home');
  const handled = ['/dashboard', '/dashboard/api/points?since=1', '/dashboards', '/home.m3u8'].map((url) =>
    board.dashboard.handles({ url } as Parameters<typeof board.dashboard.handles>[0]),
  );
  expect(handled).toEqual([true, true, false, false]);
  expect(() => new MemoryBoard(governor, { ...serve, token: 'schlüssel' }, 'home')).toThrow(RangeError);
  expect(() => new MemoryBoard(governor, { ...serve, token: undefined }, 'home')).toThrow(RangeError);
});
