import { type HeapGraph, NO_EDGE } from './heap-graph.ts';

/** The steps of a path that are shown: the nearest. */
const MOST_STEPS = 8;
/** Objects of a row whose paths are compared. */
const MOST_ASKED = 25;
const SYNTHETIC = 'synthetic';

/** How objects are reached: the tree is made once, on first use. */
export class HeapPaths {
  readonly #graph: HeapGraph;
  #tree: { readonly by: Uint32Array; readonly from: Uint32Array } | undefined;

  constructor(graph: HeapGraph) {
    this.#graph = graph;
  }

  /** The path that most of `nodes` have, of some of them, and the part that has it. Numbers in lists do not tell paths apart. */
  common(nodes: readonly number[]): { readonly heldBy: readonly string[]; readonly heldShare: number } | undefined {
    const votes = new Map<string, { count: number; path: readonly string[] }>();
    const step = Math.max(1, Math.floor(nodes.length / MOST_ASKED));
    let asked = 0;
    for (let at = 0; at < nodes.length && asked < MOST_ASKED; at += step, asked++) {
      const path = this.#pathTo(nodes[at]!);
      const key = path.join('\n');
      const vote = votes.get(key) ?? { count: 0, path };
      vote.count++;
      votes.set(key, vote);
    }
    let best: { count: number; path: readonly string[] } | undefined;
    for (const vote of votes.values()) if (best === undefined || vote.count > best.count) best = vote;
    return best === undefined || best.path.length === 0
      ? undefined
      : { heldBy: best.path, heldShare: best.count / asked };
  }

  #pathTo(node: number): readonly string[] {
    this.#tree ??= this.#graph.spanningTree();
    const { by, from } = this.#tree;
    const path: string[] = [];
    let at = node;
    while (path.length < MOST_STEPS && by[at] !== NO_EDGE) {
      const edge = by[at]!;
      at = from[at]!;
      if (this.#graph.typeOf(at) === SYNTHETIC) break;
      const step = this.#step(at, edge);
      // A list of any length is one step.
      if (step !== path.at(-1)) path.push(step);
    }
    return path.reverse();
  }

  #step(holder: number, edge: number): string {
    const graph = this.#graph;
    const name = graph.names.get(graph.edgeName[edge]!) ?? '';
    switch (graph.edgeTypeOf(edge)) {
      case 'context':
        return `variable ${name}`;
      case 'element':
      case 'hidden':
        return `${holderName(graph, holder)}[]`;
      default:
        return `${holderName(graph, holder)}${/^\d+$/.test(name) ? '[]' : `.${name}`}`;
    }
  }
}

function holderName(graph: HeapGraph, node: number): string {
  const name = graph.nameOf(node);
  switch (graph.typeOf(node)) {
    case 'array':
      return '(array)';
    case 'closure':
      return `${name === '' ? '(anonymous)' : name}()`;
    default:
      return name === '' ? `(${graph.typeOf(node)})` : name;
  }
}
