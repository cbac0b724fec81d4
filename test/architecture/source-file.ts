import { globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync } from 'vite';

/** Any node of the syntax tree; only the rules know which fields theirs has. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface ImportEdge {
  /** As written: `./x.ts`, `node:fs`, `plimsoll/pipeline`. */
  readonly specifier: string;
  /** A relative import as a path from the project's root. */
  readonly path: string | undefined;
  readonly line: number;
  /** `type`: erased, loads nothing. */
  readonly how: 'static' | 'dynamic' | 'type';
}

/** One TypeScript file, parsed. */
export class SourceFile {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly program: SyntaxNode;
  readonly comments: readonly { readonly type: string; readonly value: string; readonly start: number }[];
  readonly imports: readonly ImportEdge[];
  readonly #lineStarts: number[] = [0];

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    const parsed = parseSync(path, text);
    if (parsed.errors.length > 0) throw new Error(`${path}: ${parsed.errors[0]?.message}`);
    this.program = parsed.program as unknown as SyntaxNode;
    this.comments = parsed.comments;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1);
    this.imports = this.#findImports();
  }

  get lineCount(): number {
    return this.#lineStarts.length - (this.text.endsWith('\n') ? 1 : 0);
  }

  /** From 1. */
  lineOf(offset: number): number {
    let line = 0;
    while (line < this.#lineStarts.length && this.#lineStarts[line]! <= offset) line++;
    return line;
  }

  /** Where something is, for a message. */
  at(node: { readonly start: number }): string {
    return `${this.path}:${this.lineOf(node.start)}`;
  }

  /** Every node, outer before inner. */
  *nodes(): Generator<SyntaxNode> {
    const waiting: SyntaxNode[] = [this.program];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      yield node;
      const inner: SyntaxNode[] = [];
      for (const value of Object.values(node)) {
        for (const each of Array.isArray(value) ? value : [value]) if (isNode(each)) inner.push(each);
      }
      waiting.push(...inner.reverse());
    }
  }

  /** Static and dynamic imports, exports from elsewhere, types in `import('...')`, and `new URL('./x.ts', import.meta.url)`. */
  #findImports(): ImportEdge[] {
    const edges: ImportEdge[] = [];
    for (const node of this.nodes()) {
      const found = importOf(node);
      if (found === undefined) continue;
      const specifier = String(found.literal.value);
      const path = specifier.startsWith('.') ? posix.join(posix.dirname(this.path), specifier) : undefined;
      edges.push({ specifier, path, line: this.lineOf(found.literal.start), how: found.how });
    }
    return edges;
  }
}

function importOf(node: SyntaxNode): { literal: SyntaxNode; how: ImportEdge['how'] } | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      if (!isText(node.source)) return undefined;
      return {
        literal: node.source,
        how: node.importKind === 'type' || node.exportKind === 'type' ? 'type' : 'static',
      };
    case 'ImportExpression':
    case 'TSImportType': {
      const how = node.type === 'TSImportType' ? 'type' : 'dynamic';
      return isText(node.source) ? { literal: node.source, how } : undefined;
    }
    case 'NewExpression': {
      const [first, second] = node.arguments as SyntaxNode[];
      const isUrl =
        isNode(node.callee) && node.callee.name === 'URL' && isNode(second) && second.type === 'MemberExpression';
      const relative = isText(first) && /^\.{1,2}\/.*\.[cm]?[jt]s$/.test(String(first.value));
      return isUrl && relative ? { literal: first, how: 'dynamic' } : undefined;
    }
    default:
      return undefined;
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string';
}

function isText(value: unknown): value is SyntaxNode {
  return isNode(value) && value.type === 'Literal' && typeof value.value === 'string';
}

/** The files a rule looks at; a real project or one made up to break the rule. */
export interface SourceTree {
  readonly files: readonly SourceFile[];
  /** Whether a file or folder is there. */
  has(path: string): boolean;
  /** Text of a file that is no TypeScript; undefined when it is not there. */
  read(path: string): string | undefined;
}

/** AssemblyScript has the ending of TypeScript, and is none. */
const ASSEMBLY_SCRIPT = /^plugins\/(?:sdk|samples)\//;
const SKIPPED = ['**/node_modules/**', '**/dist/**', 'bench/rivals/**', '**/.*/**'];

/** All TypeScript and the papers of the project at `root`. */
export function readTree(root: string): SourceTree {
  const paths = globSync(['{src,test,bench,apps,plugins,deploy,dashboard-page}/**/*', '*'], {
    cwd: root,
    exclude: SKIPPED,
  }).map((path) => path.replaceAll('\\', '/'));
  const known = new Set(paths);
  const sources = paths.filter((path) => path.endsWith('.ts') && !ASSEMBLY_SCRIPT.test(path));
  const files = sources.map((path) => new SourceFile(path, read(root, path)));
  return { files, has: (path) => known.has(path), read: (path) => (known.has(path) ? read(root, path) : undefined) };
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** A tree that exists in a test only: paths and texts. */
export function makeTree(texts: Readonly<Record<string, string>>): SourceTree {
  const paths = Object.keys(texts);
  return {
    files: paths.filter((path) => path.endsWith('.ts')).map((path) => new SourceFile(path, texts[path]!)),
    has: (path) => paths.some((known) => known === path || known.startsWith(`${path}/`)),
    read: (path) => texts[path],
  };
}

/** One rule of the house: what breaks it, each as one line with its place. */
export interface HouseRule {
  readonly name: string;
  check(tree: SourceTree): string[];
  /** Trees that break it, so that the rule is known to bite. */
  readonly broken: readonly Readonly<Record<string, string>>[];
  /** Trees near to those that keep it. */
  readonly kept?: readonly Readonly<Record<string, string>>[];
}
