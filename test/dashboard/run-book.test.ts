import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RunBook } from '../../src/dashboard/run-book.ts';
import type { MonitorEvent, NewMonitorEvent } from '../../src/observe/index.ts';

function noteAll(book: RunBook, events: readonly NewMonitorEvent[]): void {
  for (const [i, event] of events.entries()) book.note({ number: i + 1, at: 1_000 + i, ...event } as MonitorEvent);
}

it('a run has the stages that name it, with what they did in all, and what changed while it ran', () => {
  const book = new RunBook();
  noteAll(book, [
    { kind: 'started', source: 'import', message: 'orders' },
    { kind: 'stage', source: 'import/read', durationMs: 10, items: 100, bytes: 5_000 },
    { kind: 'stage', source: 'import/read', durationMs: 5, items: 50 },
    { kind: 'stage', source: 'sort', durationMs: 7 },
    { kind: 'mode', source: 'whatever', stage: 'sort', from: 'plain', to: 'spill', why: 'pressure' },
    { kind: 'mode', source: 'whatever', stage: 'sort', from: 'a.wasm', to: 'native', why: 'off' },
    { kind: 'spill', source: 'run 1', diskBytes: 300, fileCount: 1, rawBytes: 900, ended: false },
    { kind: 'spill', source: 'run 2', diskBytes: 400, fileCount: 1, rawBytes: 900, ended: false },
    { kind: 'spill', source: 'run 1', diskBytes: 300, fileCount: 0, rawBytes: 900, ended: true },
  ]);
  const stages = [
    { name: 'read', items: 150, bytes: 5_000, durationMs: 15, lastAt: 1_002 },
    { name: 'sort', mode: 'spill', worker: 'native', items: 0, bytes: 0, durationMs: 7, lastAt: 1_005 },
  ];
  expect(book.rows()).toEqual([{ name: 'import', startedAt: 1_000, message: 'orders', stages, spilledBytes: 400 }]);
  noteAll(book, [{ kind: 'completed', source: 'import' }]);
  expect(book.rows()[0]).toMatchObject({ endedAt: 1_000, message: 'orders' });
});

it('a run that nobody began begins with its first event, and the next of the same name is another', () => {
  const book = new RunBook();
  noteAll(book, [
    { kind: 'stage', source: 'a/read', durationMs: 1 },
    { kind: 'completed', source: 'a/read' },
    { kind: 'started', source: 'a' },
    { kind: 'stage', source: 'a/read', durationMs: 1 },
  ]);
  expect(book.rows().map(({ name, stages }) => [name, stages.length])).toEqual([
    ['a', 1],
    ['a/read', 1],
  ]);
});

it('a run of a thousand stages and spills has forty of each', () => {
  const book = new RunBook();
  const names = Array.from({ length: 1_000 }, (_, i) => `part ${i}`);
  noteAll(book, [{ kind: 'started', source: 'big' }]);
  noteAll(
    book,
    names.map((source) => ({ kind: 'stage', source, durationMs: 1 }) as const),
  );
  noteAll(
    book,
    names.map((source) => ({ kind: 'spill', source, diskBytes: 2, fileCount: 1, rawBytes: 2, ended: false }) as const),
  );
  expect(book.rows().map(({ stages, spilledBytes }) => [stages.length, spilledBytes])).toEqual([[40, 80]]);
});

it('keeps a bounded number of runs, stages and spills, whatever comes', () => {
  const book = new RunBook();
  const name = fc.integer({ min: 0, max: 200 }).map(String);
  const event = fc.oneof(
    fc.record({ kind: fc.constantFrom('started' as const, 'completed' as const), source: name }),
    fc.record({ kind: fc.constantFrom('stage' as const, 'tool' as const), source: name, durationMs: fc.nat() }),
    fc.record({ kind: fc.constant('mode' as const), source: name, stage: name, from: name, to: name, why: name }),
    fc.record({
      kind: fc.constant('spill' as const),
      source: name,
      diskBytes: fc.nat(),
      fileCount: fc.nat(),
      rawBytes: fc.nat(),
      ended: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(fc.array(event, { minLength: 100, maxLength: 400 }), (events) => {
      noteAll(book, events as NewMonitorEvent[]);
      const rows = book.rows();
      expect(rows.length).toBeLessThanOrEqual(12);
      for (const { stages } of rows) expect(stages.length).toBeLessThanOrEqual(40);
    }),
    { numRuns: 30 },
  );
});
