import type { HouseRule, SourceFile, SourceTree, SyntaxNode } from './source-file.ts';

/** Library and apps: what is shipped and runs. */
function shippedFiles(tree: SourceTree): readonly SourceFile[] {
  return tree.files.filter(({ path }) => path.startsWith('src/') || /^apps\/[^/]+\/src\//.test(path));
}

/** A rule that forbids names and texts outside a few files. */
function reserved(options: {
  readonly name: string;
  readonly where: (path: string) => boolean;
  readonly names?: RegExp;
  readonly texts?: RegExp;
  readonly broken: HouseRule['broken'];
  readonly kept: NonNullable<HouseRule['kept']>;
}): HouseRule {
  const { name, where, names, texts, broken, kept } = options;
  return {
    name,
    broken,
    kept,
    check(tree) {
      const faults: string[] = [];
      for (const file of shippedFiles(tree)) {
        if (!where(file.path)) continue;
        for (const node of file.nodes()) {
          const found = names?.exec(nameOf(node) ?? '') ?? texts?.exec(textOf(node) ?? '');
          if (found) faults.push(`${file.at(node)}: \`${found[0].replaceAll('\x1b', '\\x1b')}\` is not for this file`);
        }
      }
      return faults;
    },
  };
}

function nameOf(node: SyntaxNode): string | undefined {
  if (node.type === 'Identifier') return node.name as string;
  // process['memoryUsage']
  if (node.type === 'MemberExpression' && node.computed === true) return textOf(node.property as SyntaxNode);
  return undefined;
}

function textOf(node: SyntaxNode): string | undefined {
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node.type === 'TemplateElement') return (node.value as { cooked?: string }).cooked;
  return undefined;
}

const METER_FILES = ['limits', 'meters', 'psi'].map((name) => `src/governor/${name}.ts`);

const memoryFigures = reserved({
  name: 'only the governor’s limits, meters and psi read the operating system’s memory figures',
  where: (path) => !METER_FILES.includes(path),
  names: /^(memoryUsage|availableMemory|constrainedMemory|resourceUsage|totalmem|freemem)$/,
  texts: /\/sys\/fs\/cgroup|\/proc\/(meminfo|pressure|vmstat|(self|\d+)\/(status|statm?|smaps|cgroup|mountinfo))/,
  broken: [
    { 'src/pipeline/a.ts': 'process.memoryUsage().rss;' },
    { 'src/pipeline/a.ts': 'const { rss } = process.memoryUsage();' },
    { 'src/observe/a.ts': 'process.memoryUsage.rss();' },
    { 'src/observe/a.ts': "process['memoryUsage']();" },
    { 'src/governor/ledger.ts': "import { totalmem } from 'node:os';" },
    { 'apps/one/src/a.ts': "import os from 'node:os'; os.freemem();" },
    { 'apps/one/src/a.ts': "readFileSync('/proc/self/status');" },
    { 'src/cli/a.ts': 'readFileSync(`/sys/fs/cgroup/$' + '{name}/memory.max`);' },
  ],
  kept: [
    {
      'src/governor/meters.ts': "process.memoryUsage(); readFileSync('/proc/meminfo');",
      'test/a.ts': 'process.memoryUsage();',
      // The start time of another process is no memory figure.
      'apps/one/src/a.ts': 'readFileSync(`/proc/$' + '{pid}/stat`);',
    },
  ],
});

const heapStatistics = reserved({
  name: 'only the governor’s meters and heap flags ask V8 for its statistics',
  where: (path) => !['src/governor/meters.ts', 'src/governor/heap-flags.ts'].includes(path),
  names: /^getHeap(Space|Code)?Statistics$/,
  broken: [{ 'src/cache/a.ts': "import { getHeapStatistics } from 'node:v8';" }],
  kept: [{ 'src/governor/heap-flags.ts': "import { getHeapStatistics } from 'node:v8';" }],
});

const processGovernor = reserved({
  name: 'nothing below the command line, the apps and the `auto` entry reaches for the process-wide governor',
  where: (path) =>
    !/^(src\/(cli\/|auto\/|auto\.ts|index\.ts|governor\/(process-governor|index)\.ts)|apps\/)/.test(path),
  names: /^(get)?processGovernor$/i,
  texts: /process-governor/,
  broken: [
    { 'src/cache/a.ts': "import { processGovernor } from '../governor/index.ts';" },
    { 'src/governor/ledger.ts': "import { slot } from './process-governor.ts';" },
  ],
  kept: [
    {
      'src/cli/a.ts': "import { processGovernor } from '../governor/index.ts';",
      'src/cache/a.ts': 'governor.sample();',
    },
  ],
});

/** The one slot of the process, marks by which Fastify knows its plugins, and one by which two lines before a server know that the other has answered. */
const SLOTS = new Set(['src/governor/process-governor.ts', 'src/http/fastify.ts', 'src/http/server-line.ts']);
/** The clock, and the one of a program whose own is put out of place by test runs. */
const CLOCKS = new Set(['src/clock.ts', 'src/auto/steady-clock.ts']);

const singletons: HouseRule = {
  name: 'the library keeps no state in modules',
  check(tree) {
    const faults: string[] = [];
    for (const file of tree.files) {
      if (!file.path.startsWith('src/') || SLOTS.has(file.path)) continue;
      for (const statement of file.program.body as SyntaxNode[]) {
        const declared =
          statement.type === 'ExportNamedDeclaration' ? (statement.declaration as SyntaxNode | null) : statement;
        if (declared?.type !== 'VariableDeclaration' || declared.declare === true) continue;
        if (declared.kind === 'const') continue;
        faults.push(`${file.at(statement)}: a \`${String(declared.kind)}\` that lives as long as the process`);
      }
      for (const node of file.nodes()) {
        if (isMember(node, 'Symbol', 'for')) faults.push(`${file.at(node)}: a slot shared by the process`);
      }
    }
    return faults;
  },
  broken: [
    { 'src/cache/a.ts': 'let count = 0;' },
    { 'src/cache/a.ts': 'export let count = 0;' },
    { 'src/cache/a.ts': "const slot = Symbol.for('plimsoll');" },
  ],
  kept: [
    {
      'src/cache/a.ts': 'const LIMIT = 3; export function count() { let n = 0; return n; }',
      'src/governor/process-governor.ts': "const slot = Symbol.for('plimsoll'); let own;",
    },
  ],
};

function isMember(node: SyntaxNode, object: string, property: string): boolean {
  if (node.type !== 'MemberExpression') return false;
  return (node.object as SyntaxNode).name === object && (node.property as SyntaxNode).name === property;
}

const injectedClock = reserved({
  name: 'the library takes time from the clock it is given',
  where: (path) => path.startsWith('src/') && !CLOCKS.has(path),
  names: /^(setTimeout|setInterval|hrtime|performance|Date)$/,
  broken: [{ 'src/cache/a.ts': 'setTimeout(() => {}, 5);' }, { 'src/cache/a.ts': 'Date.now();' }],
  kept: [
    {
      'src/clock.ts': 'Date.now();',
      'src/cache/a.ts': 'clock.after(5, () => {});',
      'apps/one/src/a.ts': 'new Date();',
    },
  ],
});

const colour = reserved({
  name: 'only the command line’s renderer knows colour',
  where: (path) => path.startsWith('src/') && path !== 'src/cli/render.ts',
  texts: /\x1b\[/,
  names: /^styleText$/,
  broken: [
    { 'src/observe/a.ts': "write('\\x1b[31mred');" },
    { 'src/observe/a.ts': "import { styleText } from 'node:util';" },
  ],
  kept: [{ 'src/cli/render.ts': "write('\\x1b[31mred');" }],
});

export const REACH_RULES: readonly HouseRule[] = [
  memoryFigures,
  heapStatistics,
  processGovernor,
  singletons,
  injectedClock,
  colour,
];
