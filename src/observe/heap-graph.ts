/** Names by which objects of V8 are found: the code of a function, the script of that, the listeners of an emitter. */
const LOOKED_FOR = ['shared', 'script', '_events'];

/**
 * A heap snapshot as arrays of numbers: 25 bytes for each object, 12 more while it is asked how they are held, and 9 for each reference, outside V8's heap, for as long as one checkpoint takes. Names are kept
 * of what can have one that helps, within bounds.
 */
export class HeapGraph {
  readonly nodeTypes: readonly string[];
  readonly edgeTypes: readonly string[];
  readonly nodeCount: number;
  /** By object: its type, the number of its name, its number in V8, its own bytes, the first of its references, the line it stands at plus 1. */
  readonly type: Uint8Array;
  readonly name: Uint32Array;
  readonly id: Uint32Array;
  readonly size: Float64Array;
  readonly firstEdge: Uint32Array;
  readonly line: Uint32Array;
  /** By reference: its type, the number of its name or its index, and the object it points to. */
  readonly edgeType: Uint8Array;
  readonly edgeName: Uint32Array;
  readonly edgeTo: Uint32Array;
  /** By number; and the numbers of a few, by name. */
  readonly names = new Map<number, string>();
  readonly numbers = new Map<string, number>();

  constructor(nodeCount: number, edgeCount: number, nodeTypes: readonly string[], edgeTypes: readonly string[]) {
    this.nodeTypes = nodeTypes;
    this.edgeTypes = edgeTypes;
    this.nodeCount = nodeCount;
    this.type = new Uint8Array(nodeCount);
    this.name = new Uint32Array(nodeCount);
    this.id = new Uint32Array(nodeCount);
    this.size = new Float64Array(nodeCount);
    this.firstEdge = new Uint32Array(nodeCount + 1);
    this.line = new Uint32Array(nodeCount);
    this.edgeType = new Uint8Array(edgeCount);
    this.edgeName = new Uint32Array(edgeCount);
    this.edgeTo = new Uint32Array(edgeCount);
  }

  addName(number: number, name: string): void {
    this.names.set(number, name);
    if (LOOKED_FOR.includes(name)) this.numbers.set(name, number);
  }

  typeOf(node: number): string {
    return this.nodeTypes[this.type[node]!] ?? '';
  }

  nameOf(node: number): string {
    return this.names.get(this.name[node]!) ?? '';
  }

  edgeTypeOf(edge: number): string {
    return this.edgeTypes[this.edgeType[edge]!] ?? '';
  }

  /** The object that `node` refers to by this name, `of` these types; undefined when there is none. */
  follow(node: number, nameNumber: number | undefined, of: string): number | undefined {
    if (nameNumber === undefined) return undefined;
    for (let edge = this.firstEdge[node]!; edge < this.firstEdge[node + 1]!; edge++) {
      if (this.edgeName[edge] === nameNumber && this.edgeTypeOf(edge) === of) return this.edgeTo[edge]!;
    }
    return undefined;
  }

  /** For each object the reference by which it is reached from the root in the fewest steps, weak ones left out; `NO_EDGE` where there is none. With `from`, what the reference belongs to. */
  spanningTree(): { readonly by: Uint32Array; readonly from: Uint32Array } {
    const by = new Uint32Array(this.nodeCount).fill(NO_EDGE);
    const from = new Uint32Array(this.nodeCount);
    const waiting = new Uint32Array(this.nodeCount);
    const weak = this.edgeTypes.indexOf('weak');
    let count = this.nodeCount === 0 ? 0 : 1;
    for (let next = 0; next < count; next++) {
      const node = waiting[next]!;
      for (let edge = this.firstEdge[node]!; edge < this.firstEdge[node + 1]!; edge++) {
        const to = this.edgeTo[edge]!;
        if (to === 0 || by[to] !== NO_EDGE || this.edgeType[edge] === weak) continue;
        by[to] = edge;
        from[to] = node;
        waiting[count++] = to;
      }
    }
    return { by, from };
  }
}

export const NO_EDGE = 0xffff_ffff;
