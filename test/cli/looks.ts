import { createGovernor, ManualClock, type MeterName } from 'plimsoll';
import type { MonitorEvent, Observation } from 'plimsoll/observe';
import { FakeMeter, MIB } from '../governor/fake-meter.ts';

export interface LookFigures {
  readonly rss: number;
  readonly heap?: number;
  readonly pid?: number;
  readonly rows?: number;
  readonly collections?: number;
  readonly events?: readonly MonitorEvent[];
}

/** Looks at a made-up process with a limit of 100 MiB, one a second, the first a second after its start. Figures are in MiB. */
export function looksOf(figures: readonly LookFigures[], startedAt = 1_700_000_000_000): Observation[] {
  const clock = new ManualClock(startedAt);
  const [rss, heap] = [new FakeMeter('rss'), new FakeMeter('heap')];
  heap.limitBytes = 50 * MIB;
  const options = {
    limitBytes: 100 * MIB,
    runtimeBytes: 0,
    clock,
    meters: [rss, heap],
    root: '/nowhere',
    mode: 'observe',
  } as const;
  using governor = createGovernor({ ...options, collect: false, trim: false });
  const rows = governor.consumer({ name: 'rows', kind: 'heap', maxBytes: 90 * MIB });
  const held = rows.reserve(0);
  return figures.map((figure, index) => {
    clock.advance(1_000);
    rss.bytes = figure.rss * MIB;
    heap.bytes = (figure.heap ?? 10) * MIB;
    held.resize((figure.rows ?? 0) * MIB);
    governor.sample();
    const count = figure.collections ?? 1;
    return {
      version: 1,
      number: index + 1,
      at: clock.wall(),
      pid: figure.pid ?? 42,
      snapshot: { ...governor.snapshot(), warnings: [] },
      collections: { count, pauseMs: 2 * count, longestMs: count === 0 ? 0 : 2, freedBytes: count * MIB },
      alerts: [],
      events: figure.events ?? [],
      droppedEvents: 0,
    };
  });
}

export const meterOf = (look: Observation, name: MeterName) => look.snapshot.meters.find((each) => each.name === name)!;
