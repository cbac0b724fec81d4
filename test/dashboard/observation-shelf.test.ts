import { expect, it } from 'vitest';
import { ObservationShelf } from '../../src/dashboard/observation-shelf.ts';
import type { MonitorEvent, Observation } from '../../src/observe/index.ts';

it('keeps the last 500 events and 64 trains, whether they come at once or one by one', () => {
  const shelf = new ObservationShelf();
  const train = (number: number) =>
    ({ number, at: number, kind: 'reclaim', source: 'train', claimedBytes: 0, releasedBytes: 0 }) as MonitorEvent;
  const note = (...events: MonitorEvent[]) => shelf.note({ events } as unknown as Observation);
  note(...Array.from({ length: 600 }, (_, i) => train(i + 1)));
  for (let number = 601; number <= 700; number++) note(train(number));
  expect(shelf.events().map(({ number }) => number)).toEqual(Array.from({ length: 500 }, (_, i) => i + 201));
  expect(shelf.trains().map(({ at }) => at)).toEqual(Array.from({ length: 64 }, (_, i) => i + 637));
});
