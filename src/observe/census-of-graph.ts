import type { CensusRequest, HeapCensus, HeapRow, HeapRowKind } from './heap-census.ts';
import type { HeapGraph } from './heap-graph.ts';
import { HeapPaths } from './heap-paths.ts';

/** Rows that are asked how they are held: those that have most of what came lately and lived. */
const MOST_ASKED = 40;
/** Objects of each that are remembered for that. */
const MOST_KEPT = 2_000;
const BUFFER_DATA = 'system / JSArrayBufferData';

/** An object that is told from all others by its class: as long as one of those seen before has its number still, all have theirs. */
export class LeakFinderMark {}

class Row {
  readonly kind: HeapRowKind;
  readonly what: string;
  count = 0;
  bytes = 0;
  livedCount = 0;
  livedBytes = 0;
  newBytes = 0;
  readonly some: number[] = [];
  at: string | undefined;

  constructor(kind: HeapRowKind, what: string) {
    this.kind = kind;
    this.what = what;
  }
}

/** Counts a graph. What V8 keeps for itself, code, shapes and tables of its own, is no row. */
export function censusOf(
  graph: HeapGraph,
  request: CensusRequest,
  marksBefore: readonly number[] = [],
): HeapCensus & { readonly marks: readonly number[] } {
  const { livedId, bornAfter } = request;
  const rows = new Map<string, Row>();
  let lastId = 0;
  const marks: number[] = [];
  for (let node = 0; node < graph.nodeCount; node++) {
    const id = graph.id[node]!;
    // Objects of V8 have odd numbers, that go up; those of Node's own, even ones that say nothing, in some versions made of their addresses.
    const isNumbered = id % 2 === 1;
    if (isNumbered && id > lastId) lastId = id;
    const row = rowFor(rows, graph, node);
    if (row === undefined) continue;
    if (row.what === LeakFinderMark.name) marks.push(id);
    const bytes = graph.size[node]!;
    row.count++;
    row.bytes += bytes;
    if (isNumbered && id > livedId) continue;
    row.livedCount++;
    row.livedBytes += bytes;
    if (bornAfter === undefined || !isNumbered || id <= bornAfter) continue;
    row.newBytes += bytes;
    if (row.some.length < MOST_KEPT) row.some.push(node);
  }
  countListeners(rows, graph);
  const paths = bornAfter === undefined ? undefined : pathsOf(rows, graph);
  const own = [...rows].filter(([, { what }]) => what !== LeakFinderMark.name);
  return {
    objects: graph.nodeCount,
    rows: own.map(([key, row]) => plainRow(key, row, paths?.get(row))),
    lastId,
    sameNumbers: marksBefore.length === 0 || marksBefore.some((id) => marks.includes(id)),
    marks,
  };
}

function plainRow(key: string, row: Row, path: ReturnType<HeapPaths['common']>): HeapRow {
  const { kind, what, count, bytes, livedCount, livedBytes, at } = row;
  return { kind, what, key, count, bytes, livedCount, livedBytes, ...(at === undefined ? {} : { at }), ...path };
}

function pathsOf(rows: ReadonlyMap<string, Row>, graph: HeapGraph): Map<Row, ReturnType<HeapPaths['common']>> {
  const paths = new HeapPaths(graph);
  const most = [...rows.values()].filter(({ some }) => some.length > 0).toSorted((a, b) => b.newBytes - a.newBytes);
  return new Map(most.slice(0, MOST_ASKED).map((row) => [row, paths.common(row.some)]));
}

function rowFor(rows: Map<string, Row>, graph: HeapGraph, node: number): Row | undefined {
  switch (graph.typeOf(node)) {
    case 'object':
    case 'native': {
      const name = graph.nameOf(node);
      const isBuffer = name === BUFFER_DATA;
      return rowOf(rows, isBuffer ? 'buffers' : 'constructor', isBuffer ? 'ArrayBuffer' : name);
    }
    case 'closure':
      return functionRow(rows, graph, node);
    case 'string':
    case 'concatenated string':
    case 'sliced string':
      return rowOf(rows, 'constructor', '(string)');
    case 'array':
      return rowOf(rows, 'constructor', '(array)');
    case 'number':
    case 'symbol':
    case 'bigint':
    case 'regexp':
      return rowOf(rows, 'constructor', `(${graph.typeOf(node)})`);
    default:
      return undefined;
  }
}

function rowOf(rows: Map<string, Row>, kind: HeapRowKind, what: string, key = kind + what): Row {
  let row = rows.get(key);
  if (row === undefined) {
    row = new Row(kind, what === '' ? '(anonymous)' : what);
    rows.set(key, row);
  }
  return row;
}

/** Functions that were made by the same piece of code are one row. */
function functionRow(rows: Map<string, Row>, graph: HeapGraph, node: number): Row {
  const shared = graph.follow(node, graph.numbers.get('shared'), 'internal');
  const name = graph.nameOf(node);
  if (shared === undefined) return rowOf(rows, 'function', name);
  const row = rowOf(rows, 'function', name, `function${name} ${graph.id[shared]!}`);
  if (row.count > 0) return row;
  const script = graph.follow(shared, graph.numbers.get('script'), 'internal');
  const file = script === undefined ? '' : graph.nameOf(script);
  const line = graph.line[node]!;
  if (file !== '') row.at = line > 0 ? `${file}:${line}` : file;
  return row;
}

/** What waits for events of Node's emitters: each has its listeners by event in `_events`, one by itself, several in an array. */
function countListeners(rows: Map<string, Row>, graph: HeapGraph): void {
  const events = graph.numbers.get('_events');
  if (events === undefined) return;
  for (let node = 0; node < graph.nodeCount; node++) {
    if (graph.typeOf(node) !== 'object') continue;
    const table = graph.follow(node, events, 'property');
    if (table === undefined) continue;
    for (let edge = graph.firstEdge[table]!; edge < graph.firstEdge[table + 1]!; edge++) {
      if (graph.edgeTypeOf(edge) !== 'property') continue;
      const name = graph.names.get(graph.edgeName[edge]!) ?? '';
      const count = listenersIn(graph, graph.edgeTo[edge]!);
      if (name === '__proto__' || count === 0) continue;
      const row = rowOf(rows, 'listeners', `'${name}' of ${graph.nameOf(node)}`);
      row.count += count;
      row.livedCount += count;
      // A place in an array each: enough to come before rows that hardly move.
      row.newBytes += count * 8;
      if (row.some.length < MOST_KEPT) row.some.push(graph.edgeTo[edge]!);
    }
  }
}

function listenersIn(graph: HeapGraph, node: number): number {
  if (graph.typeOf(node) === 'closure') return 1;
  if (graph.nameOf(node) !== 'Array') return 0;
  let count = 0;
  for (let edge = graph.firstEdge[node]!; edge < graph.firstEdge[node + 1]!; edge++) {
    if (graph.edgeTypeOf(edge) === 'element') count++;
  }
  return count;
}
