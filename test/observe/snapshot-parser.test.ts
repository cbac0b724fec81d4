import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { HeapGraph } from '../../src/observe/heap-graph.ts';
import { SnapshotParser } from '../../src/observe/snapshot-parser.ts';
import { MadeHeap } from './made-heap.ts';

function parse(text: string, pieceLength = text.length): HeapGraph {
  const parser = new SnapshotParser();
  for (let at = 0; at < text.length; at += pieceLength) parser.push(text.slice(at, at + pieceLength));
  return parser.finish();
}

function shown(graph: HeapGraph) {
  const nodes = Array.from({ length: graph.nodeCount }, (_, node) => ({
    type: graph.typeOf(node),
    name: graph.nameOf(node),
    id: graph.id[node],
    size: graph.size[node],
    line: graph.line[node],
    edges: Array.from({ length: graph.firstEdge[node + 1]! - graph.firstEdge[node]! }, (_, index) => {
      const edge = graph.firstEdge[node]! + index;
      const type = graph.edgeTypeOf(edge);
      const isNamed = type !== 'element' && type !== 'hidden' && type !== 'weak';
      return [type, isNamed ? graph.names.get(graph.edgeName[edge]!) : graph.edgeName[edge], graph.edgeTo[edge]];
    }),
  }));
  return nodes;
}

function sample(name: string): MadeHeap {
  const heap = new MadeHeap();
  const holder = heap.node('object', name, { id: 9, size: 64 });
  const item = heap.node('closure', 'make', { id: 4_000_000_001, size: 5_000_000_000, line: 12 });
  heap.node('string', 'a long text that nobody asks for "\\', { id: 11, size: 24 });
  heap.refer(heap.root, 'property', 'global', holder);
  heap.refer(holder, 'element', 3, item);
  heap.refer(holder, 'context', name, item);
  return heap;
}

it('reads the same, in whatever pieces it comes', () => {
  const text = sample('Cache "of" \\ é\u2028').json();
  const whole = shown(parse(text));
  expect(whole).toEqual([
    { type: 'synthetic', name: '(root)', id: 1, size: 0, line: 0, edges: [['property', 'global', 1]] },
    {
      ...{ type: 'object', name: 'Cache "of" \\ é\u2028', id: 9, size: 64, line: 0 },
      edges: [
        ['element', 3, 2],
        ['context', 'Cache "of" \\ é\u2028', 2],
      ],
    },
    { type: 'closure', name: 'make', id: 4_000_000_001, size: 5_000_000_000, line: 12, edges: [] },
    { type: 'string', name: '', id: 11, size: 24, line: 0, edges: [] },
  ]);
  for (const length of [1, 2, 3, 5, 7, 64, 1_000]) expect(shown(parse(text, length)), `by ${length}`).toEqual(whole);
});

it('names of any characters come out as they are, or as their beginning', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.integer({ min: 1, max: 40 }), (name, length) => {
      const graph = parse(sample(name).json(), length);
      const found = graph.nameOf(1);
      expect(name.startsWith(found)).toBe(true);
      if (JSON.stringify(name).length <= 90) expect(found).toBe(name);
      // Of 100 characters at most a sixth may go to each escape.
      else expect(found.length).toBeGreaterThanOrEqual(15);
    }),
    { numRuns: 60 },
  );
});

it('what is no snapshot, or ends too early, is refused', () => {
  const text = sample('x').json();
  for (const wrong of [
    '',
    '{}',
    text.slice(0, 100),
    text.slice(0, text.length / 2),
    text.slice(0, -3),
    'x'.repeat(70_000),
  ])
    expect(() => parse(wrong, 1_000), wrong.slice(0, 40)).toThrow(SyntaxError);
  expect(() => parse('{"snapshot":5,"nodes":[1,2')).toThrow();
});
