/** A heap that is put together by hand, as the JSON of V8's snapshots. */
const NODE_TYPES = [
  'hidden',
  'array',
  'string',
  'object',
  'code',
  'closure',
  'regexp',
  'number',
  'native',
  'synthetic',
];
const EDGE_TYPES = ['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'];

interface MadeNode {
  readonly type: string;
  readonly name: string;
  readonly id: number;
  readonly size: number;
  readonly line: number | undefined;
  readonly edges: { readonly type: string; readonly name: string | number; readonly to: number }[];
}

export class MadeHeap {
  readonly #nodes: MadeNode[] = [];
  readonly root = this.node('synthetic', '(root)', { id: 1 });

  /** Its place, for references. */
  node(
    type: string,
    name: string,
    { id = 0, size = 0, line }: { id?: number; size?: number; line?: number } = {},
  ): number {
    this.#nodes.push({ type, name, id, size, line, edges: [] });
    return this.#nodes.length - 1;
  }

  refer(from: number, type: string, name: string | number, to: number): void {
    this.#nodes[from]!.edges.push({ type, name, to });
  }

  json(): string {
    const strings: string[] = [];
    const numberOf = (text: string) => {
      if (!strings.includes(text)) strings.push(text);
      return strings.indexOf(text);
    };
    const fields = ['type', 'name', 'id', 'self_size', 'edge_count', 'detachedness'];
    const nodes = this.#nodes.map((node) => [
      NODE_TYPES.indexOf(node.type),
      numberOf(node.name),
      node.id,
      node.size,
      node.edges.length,
      0,
    ]);
    const edges = this.#nodes.flatMap((node) =>
      node.edges.map(({ type, name, to }) => [
        EDGE_TYPES.indexOf(type),
        typeof name === 'number' ? name : numberOf(name),
        to * fields.length,
      ]),
    );
    const locations = this.#nodes.flatMap(({ line }, index) =>
      line === undefined ? [] : [[index * fields.length, 7, line - 1, 0]],
    );
    const meta = {
      node_fields: fields,
      node_types: [NODE_TYPES, 'string', 'number', 'number', 'number', 'number'],
      edge_fields: ['type', 'name_or_index', 'to_node'],
      edge_types: [EDGE_TYPES, 'string_or_number', 'node'],
      location_fields: ['object_index', 'script_id', 'line', 'column'],
    };
    const snapshot = { meta, node_count: nodes.length, edge_count: edges.length, trace_function_count: 0 };
    const list = (rows: readonly (readonly number[])[]) => `[${rows.map((row) => row.join(',')).join('\n,')}]`;
    return (
      `{"snapshot":${JSON.stringify(snapshot)},\n"nodes":${list(nodes)},\n"edges":${list(edges)},\n"trace_function_infos":[],\n"trace_tree":[[1,[2]],3],\n` +
      `"samples":[],\n"locations":${list(locations)},\n"strings":[${strings.map((text) => JSON.stringify(text)).join(',\n')}]}`
    );
  }
}
