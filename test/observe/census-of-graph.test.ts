import { expect, it } from 'vitest';
import { censusOf } from '../../src/observe/census-of-graph.ts';
import type { CensusRequest, HeapRow } from '../../src/observe/index.ts';
import { SnapshotParser } from '../../src/observe/snapshot-parser.ts';
import { MadeHeap } from './made-heap.ts';

function census(heap: MadeHeap, request: CensusRequest, marks: readonly number[] = []) {
  const parser = new SnapshotParser();
  parser.push(heap.json());
  return censusOf(parser.finish(), request, marks);
}

const rowOf = (rows: readonly HeapRow[], what: string) => rows.find((row) => row.what === what);

it('counts by constructor, and apart from that what was there the time before', () => {
  const heap = new MadeHeap();
  for (const id of [21, 41, 61]) heap.node('object', 'Entry', { id, size: 40 });
  heap.node('string', 'some text', { id: 25, size: 16 });
  heap.node('string', 'another', { id: 65, size: 24 });
  heap.node('native', 'system / JSArrayBufferData', { id: 29, size: 65_536 });
  heap.node('code', 'code of V8', { id: 31, size: 999 });
  heap.node('hidden', 'system / Map', { id: 33, size: 999 });
  const { rows, lastId, objects } = census(heap, { livedId: 41 });
  expect({ lastId, objects }).toEqual({ lastId: 65, objects: 9 });
  expect(rows).toHaveLength(3);
  expect(rowOf(rows, 'Entry')).toMatchObject({ count: 3, bytes: 120, livedCount: 2, livedBytes: 80 });
  expect(rowOf(rows, '(string)')).toMatchObject({ count: 2, bytes: 40, livedCount: 1, livedBytes: 16 });
  expect(rowOf(rows, 'ArrayBuffer')).toMatchObject({ kind: 'buffers', count: 1, bytes: 65_536, livedBytes: 65_536 });
});

it('objects of Node’s own have numbers that say nothing, and count as if they had always been there', () => {
  const heap = new MadeHeap();
  heap.node('native', 'Node / Socket', { id: 4_000_000_000, size: 80 });
  heap.node('object', 'Entry', { id: 31, size: 40 });
  const { rows, lastId } = census(heap, { livedId: 21, bornAfter: 11 });
  expect(lastId).toBe(31);
  expect(rowOf(rows, 'Node / Socket')).toMatchObject({ count: 1, livedCount: 1 });
  expect(rowOf(rows, 'Entry')).toMatchObject({ count: 1, livedCount: 0 });
});

it('functions of the same name are apart where they are written apart, with file and line', () => {
  const heap = new MadeHeap();
  const script = heap.node('code', 'file:///app/server.js', { id: 5 });
  for (const [line, count] of [
    [3, 2],
    [8, 1],
  ] as const) {
    const shared = heap.node('code', 'onData', { id: 200 * line + 1 });
    heap.refer(shared, 'internal', 'script', script);
    for (let n = 0; n < count; n++) {
      const made = heap.node('closure', 'onData', { id: 2_000 * line + 2 * n + 1, size: 64, line });
      heap.refer(made, 'internal', 'shared', shared);
    }
  }
  heap.node('closure', '', { id: 15, size: 32 });
  const { rows } = census(heap, { livedId: 0 });
  expect(rows.map(({ what, at, count }) => [what, at, count])).toEqual([
    ['onData', 'file:///app/server.js:3', 2],
    ['onData', 'file:///app/server.js:8', 1],
    ['(anonymous)', undefined, 1],
  ]);
});

it('counts listeners by emitter and event, one by itself or many in an array', () => {
  const heap = new MadeHeap();
  const emitter = heap.node('object', 'Socket', { id: 11 });
  const events = heap.node('object', 'Object', { id: 13 });
  const many = heap.node('object', 'Array', { id: 15 });
  const [one, two] = [heap.node('closure', 'a', { id: 17 }), heap.node('closure', 'b', { id: 19 })];
  heap.refer(emitter, 'property', '_events', events);
  heap.refer(events, 'property', 'data', many);
  heap.refer(events, 'property', 'close', one);
  heap.refer(events, 'property', '__proto__', one);
  heap.refer(events, 'internal', 'map', one);
  for (const [index, listener] of [one, two, two].entries()) heap.refer(many, 'element', index, listener);
  heap.refer(many, 'internal', 'elements', one);
  const server = heap.node('object', 'Server', { id: 9 });
  heap.refer(heap.root, 'property', 'server', server);
  heap.refer(server, 'property', 'socket', emitter);
  const { rows } = census(heap, { livedId: 0 });
  const held = census(heap, { livedId: 91, bornAfter: 51 }).rows;
  expect(rowOf(held, "'data' of Socket")?.heldBy).toEqual(['Server.socket', 'Socket._events', 'Object.data']);
  expect(rows.filter(({ kind }) => kind === 'listeners')).toEqual([
    expect.objectContaining({ what: "'data' of Socket", count: 3, livedCount: 3, bytes: 0 }),
    expect.objectContaining({ what: "'close' of Socket", count: 1 }),
  ]);
});

it('says how what came and stayed is held: by the shortest way that is not weak, and what most have', () => {
  const heap = new MadeHeap();
  const module = heap.node('object', 'system / Context', { id: 7 });
  const cache = heap.node('object', 'Map', { id: 9 });
  const table = heap.node('array', '', { id: 11 });
  const weak = heap.node('object', 'Weak', { id: 13 });
  const list = heap.node('object', 'Node', { id: 17 });
  const longer = heap.node('object', 'Node', { id: 19 });
  heap.refer(heap.root, 'element', 1, module);
  heap.refer(heap.root, 'element', 2, weak);
  heap.refer(module, 'context', 'cache', cache);
  heap.refer(cache, 'internal', 'table', table);
  heap.refer(module, 'context', 'list', list);
  heap.refer(list, 'property', 'next', longer);
  const born = (id: number) => heap.node('object', 'Entry', { id, size: 8 });
  for (const [index, entry] of [61, 63, 65].map(born).entries()) {
    heap.refer(weak, 'weak', 'target', entry);
    heap.refer(table, 'internal', String(index), entry);
  }
  heap.refer(longer, 'property', 'next', born(67));
  // Neither what was there before nor what came just now is asked.
  heap.refer(list, 'property', 'first', born(5));
  heap.refer(list, 'property', 'last', born(181));
  const { rows } = census(heap, { livedId: 101, bornAfter: 41 });
  const { heldBy, heldShare } = rowOf(rows, 'Entry')!;
  expect(heldBy).toEqual(['variable cache', 'Map.table', '(array)[]']);
  expect(heldShare).toBe(0.75);
  expect(rowOf(census(heap, { livedId: 101 }).rows, 'Entry')?.heldBy).toBeUndefined();
  const late = census(heap, { livedId: 181, bornAfter: 67 }).rows;
  expect(rowOf(late, 'Entry')?.heldBy).toEqual(['variable list', 'Node.last']);
});

it('a list of any length is one step of a path', () => {
  const heap = new MadeHeap();
  let last = heap.node('object', 'Timeout', { id: 7 });
  heap.refer(heap.root, 'property', 'timers', last);
  for (let n = 0; n < 40; n++) {
    const next = heap.node('object', 'Timeout', { id: 9 });
    heap.refer(last, 'property', '_idleNext', next);
    last = next;
  }
  heap.refer(last, 'property', '_onTimeout', heap.node('object', 'Job', { id: 61 }));
  const { rows } = census(heap, { livedId: 101, bornAfter: 41 });
  expect(rowOf(rows, 'Job')?.heldBy).toEqual(['Timeout._idleNext', 'Timeout._onTimeout']);
});

it('sees by its mark that objects were numbered anew, and does not count the mark', () => {
  const heap = new MadeHeap();
  heap.node('object', 'LeakFinderMark', { id: 23 });
  heap.node('object', 'LeakFinderMark', { id: 27 });
  const first = census(heap, { livedId: 0 });
  expect(first).toMatchObject({ sameNumbers: true, marks: [23, 27], rows: [] });
  expect(census(heap, { livedId: 0 }, [27, 99]).sameNumbers).toBe(true);
  expect(census(heap, { livedId: 0 }, [99]).sameNumbers).toBe(false);
});
