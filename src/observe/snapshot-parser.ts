import { shortText } from '../short-text.ts';
import { HeapGraph } from './heap-graph.ts';

/** The head of a snapshot, up to its objects, is some 1.5 KB. */
const LONGEST_HEAD = 65_536;
/** Names that are kept, and how much of each. */
const MOST_NAMES = 200_000;
const LONGEST_NAME = 100;
const QUOTE = '"';
const [ZERO, NINE, OPEN, CLOSE, BACKSLASH] = [48, 57, 91, 93, 92];
const NODES = '"nodes":[';
/** Types of objects whose name is what stands in a text. */
const TEXTS = ['string', 'concatenated string', 'sliced string'];
const NAMED_EDGES = ['context', 'property', 'internal', 'shortcut'];

/** What a field means to us. Numbers, because there are millions of them. */
const [SKIPPED, TYPE, NAME, ID, SIZE, EDGES, TO, OBJECT, LINE] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
const FIELDS: Readonly<Record<string, number>> = {
  type: TYPE,
  name: NAME,
  name_or_index: NAME,
  id: ID,
  self_size: SIZE,
  edge_count: EDGES,
  to_node: TO,
  object_index: OBJECT,
  line: LINE,
};

/**
 * Reads a heap snapshot, the JSON of V8's developer tools, piece by piece, and holds no more of it than a `HeapGraph` and the piece at hand. Which field stands where
 * is taken from the snapshot's own head. Throws `SyntaxError` for what is no snapshot.
 */
export class SnapshotParser {
  #head: string | undefined = '';
  #layouts: Readonly<Record<string, readonly number[]>> = {};
  #nodeFields = 1;
  #graph: HeapGraph | undefined;
  /** Between two lists what was read of the next one's name; else undefined. */
  #between: string | undefined;
  #list = '';
  #layout: readonly number[] = [];
  #depth = 0;
  /** The number at hand, -1 for none; which field of which row comes next. */
  #value = -1;
  #field = 0;
  #row = 0;
  #edgesSoFar = 0;
  #locationNode = 0;
  #wanted: Uint8Array = new Uint8Array(0);
  #string = { number: 0, inside: false, escaped: false, keeps: false, text: '' };
  #ended = false;

  /** The next piece. */
  push(piece: string): void {
    let at = 0;
    let text = piece;
    if (this.#head !== undefined) {
      text = this.#head + piece;
      const start = text.indexOf(NODES);
      if (start < 0) {
        if (text.length > LONGEST_HEAD) throw new SyntaxError('this is no heap snapshot');
        this.#head = text;
        return;
      }
      this.#begin(text.slice(0, start));
      at = start + NODES.length;
    }
    while (at < text.length) at = this.#step(text, at);
  }

  /** When all has been pushed. */
  finish(): HeapGraph {
    const graph = this.#graph;
    if (graph === undefined || !this.#ended) throw new SyntaxError('the heap snapshot ends before its end');
    return graph;
  }

  #step(text: string, at: number): number {
    if (this.#between !== undefined) return this.#seekList(text, at);
    return this.#list === 'strings' ? this.#readStrings(text, at) : this.#readNumbers(text, at);
  }

  #begin(head: string): void {
    this.#head = undefined;
    const { snapshot } = JSON.parse(`${head.trimEnd().replace(/,$/, '')}}`) as {
      snapshot: {
        node_count: number;
        edge_count: number;
        meta: {
          node_fields: string[];
          edge_fields: string[];
          location_fields?: string[];
          node_types: string[][];
          edge_types: string[][];
        };
      };
    };
    const { node_count: nodes, edge_count: edges, meta } = snapshot;
    const layout = (fields: readonly string[] = []) => fields.map((field) => FIELDS[field] ?? SKIPPED);
    this.#layouts = {
      nodes: layout(meta.node_fields),
      edges: layout(meta.edge_fields),
      locations: layout(meta.location_fields),
    };
    this.#nodeFields = meta.node_fields.length;
    this.#graph = new HeapGraph(nodes, edges, meta.node_types[0]!, meta.edge_types[0]!);
    this.#open('nodes');
  }

  #seekList(text: string, at: number): number {
    const open = text.indexOf('[', at);
    this.#between += text.slice(at, open < 0 ? undefined : open);
    if (this.#between!.length > LONGEST_HEAD) throw new SyntaxError('this is no heap snapshot');
    if (open < 0) return text.length;
    this.#open(/"(\w+)":\s*$/.exec(this.#between!)?.[1] ?? '');
    if (this.#list === 'strings') this.#wanted = wantedNames(this.#graph!);
    return open + 1;
  }

  #open(list: string): void {
    this.#list = list;
    this.#layout = this.#layouts[list] ?? [];
    this.#between = undefined;
    this.#field = 0;
    this.#row = 0;
    this.#depth = 0;
  }

  #readNumbers(text: string, start: number): number {
    let value = this.#value;
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code >= ZERO && code <= NINE) {
        value = value < 0 ? code - ZERO : value * 10 + code - ZERO;
        continue;
      }
      if (value >= 0) this.#take(value);
      value = -1;
      if (code === OPEN) this.#depth++;
      if (code === CLOSE && this.#depth-- === 0) {
        this.#value = -1;
        this.#between = '';
        return at + 1;
      }
    }
    this.#value = value;
    return text.length;
  }

  #take(value: number): void {
    const layout = this.#layout;
    if (layout.length === 0) return;
    const field = layout[this.#field]!;
    if (field !== SKIPPED) {
      if (this.#list === 'edges') this.#takeEdge(field, value);
      else if (this.#list === 'nodes') this.#takeNode(field, value);
      else this.#takeLocation(field, value);
    }
    if (++this.#field < layout.length) return;
    this.#field = 0;
    this.#row++;
  }

  #takeNode(field: number, value: number): void {
    const graph = this.#graph!;
    switch (field) {
      case TYPE:
        graph.type[this.#row] = value;
        return;
      case NAME:
        graph.name[this.#row] = value;
        return;
      case ID:
        graph.id[this.#row] = value;
        return;
      case SIZE:
        graph.size[this.#row] = value;
        return;
      case EDGES:
        this.#edgesSoFar += value;
        graph.firstEdge[this.#row + 1] = this.#edgesSoFar;
        return;
      default:
    }
  }

  #takeEdge(field: number, value: number): void {
    const graph = this.#graph!;
    if (field === TYPE) graph.edgeType[this.#row] = value;
    else if (field === NAME) graph.edgeName[this.#row] = value;
    else if (field === TO) graph.edgeTo[this.#row] = value / this.#nodeFields;
  }

  #takeLocation(field: number, value: number): void {
    if (field === OBJECT) this.#locationNode = value / this.#nodeFields;
    else if (field === LINE) this.#graph!.line[this.#locationNode] = value + 1;
  }

  #readStrings(text: string, start: number): number {
    const string = this.#string;
    let at = start;
    while (at < text.length) {
      if (!string.inside) {
        const code = text.charCodeAt(at++);
        if (code === CLOSE) {
          this.#ended = true;
          this.#between = '';
          return at;
        }
        if (code !== QUOTE.charCodeAt(0)) continue;
        string.inside = true;
        string.keeps = this.#wanted[string.number] === 1;
        string.text = '';
      }
      const end = endOfString(text, at, string.escaped);
      if (string.keeps && string.text.length < LONGEST_NAME) {
        string.text += text.slice(at, Math.min(end < 0 ? text.length : end, at + LONGEST_NAME - string.text.length));
      }
      if (end < 0) {
        string.escaped = endsEscaped(text, at, string.escaped);
        return text.length;
      }
      if (string.keeps) this.#graph!.addName(string.number, copyOf(string.text));
      string.inside = false;
      string.escaped = false;
      string.number++;
      at = end + 1;
    }
    return at;
  }
}

/** Where the quote stands that ends the string at `start`; -1 when it is not in this piece. */
function endOfString(text: string, start: number, escaped: boolean): number {
  for (let at = text.indexOf(QUOTE, escaped ? start + 1 : start); at >= 0; at = text.indexOf(QUOTE, at + 1)) {
    if (!isEscaped(text, at, start, escaped)) return at;
  }
  return -1;
}

/** Whether an odd number of backslashes stands before `at`, what came in earlier pieces included. */
function isEscaped(text: string, at: number, start: number, escaped: boolean): boolean {
  let count = 0;
  let before = at - 1;
  while (before >= start && text.charCodeAt(before) === BACKSLASH) {
    count++;
    before--;
  }
  return (count + (before < start && escaped ? 1 : 0)) % 2 === 1;
}

function endsEscaped(text: string, start: number, escaped: boolean): boolean {
  return isEscaped(text, text.length, start, escaped);
}

/** Without escapes, and with nothing kept alive but itself. An escape that was cut goes. */
function copyOf(raw: string): string {
  const whole = raw.replace(/((?:^|[^\\])(?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$/, '$1');
  try {
    const text = whole.includes('\\') ? (JSON.parse(`"${whole}"`) as string) : whole;
    return shortText(text);
  } catch {
    return '';
  }
}

/** By number 1 for names that can be shown: of objects that are no texts, and of references. */
function wantedNames(graph: HeapGraph): Uint8Array {
  const { nodeCount, name, type, edgeName, edgeType, nodeTypes, edgeTypes } = graph;
  const isText = nodeTypes.map((each) => TEXTS.includes(each));
  const isNamed = edgeTypes.map((each) => NAMED_EDGES.includes(each));
  let most = -1;
  for (let node = 0; node < nodeCount; node++) most = Math.max(most, name[node]!);
  for (let edge = 0; edge < edgeName.length; edge++)
    if (isNamed[edgeType[edge]!]) most = Math.max(most, edgeName[edge]!);
  const wanted = new Uint8Array(most + 1);
  let count = 0;
  const want = (number: number) => {
    if (wanted[number] === 1 || count >= MOST_NAMES) return;
    wanted[number] = 1;
    count++;
  };
  for (let node = 0; node < nodeCount; node++) if (!isText[type[node]!]) want(name[node]!);
  for (let edge = 0; edge < edgeName.length; edge++) if (isNamed[edgeType[edge]!]) want(edgeName[edge]!);
  return wanted;
}
