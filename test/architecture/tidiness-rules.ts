import { type HouseRule, isNode, type SourceFile, type SourceTree, type SyntaxNode } from './source-file.ts';

/** "About 400" and "about 70" of the house, with what "about" allows. */
const MOST_LINES = 450;
const MOST_FUNCTION_LINES = 75;
/** A hash whose rounds stand unrolled: one idea, many lines. */
const UNROLLED = 'apps/playlist/src/channels/digest.ts';

const names: HouseRule = {
  name: 'files are named for the one thing inside, in kebab-case; there is no drawer for odds and ends',
  check(tree) {
    const faults: string[] = [];
    for (const { path } of tree.files) {
      for (const part of path.split('/')) {
        const stem = part.replace(/(\.d|(\.slow)?\.test|\.config)?\.ts$/, '');
        if (/^(utils?|common|helpers?|misc|types|shared-types|lib)$/.test(stem))
          faults.push(`${path}: \`${part}\` says nothing`);
        else if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)) faults.push(`${path}: \`${part}\` is not kebab-case`);
      }
    }
    return faults;
  },
  broken: [
    { 'src/utils/a.ts': '' },
    { 'src/cache/types.ts': '' },
    { 'apps/one/src/helpers.ts': '' },
    { 'test/common/a.ts': '' },
    { 'src/lruCache.ts': '' },
    { 'bench/misc.ts': '' },
  ],
  kept: [
    {
      'src/cache/lru-cache.ts': '',
      'test/cache/lru-cache.test.ts': '',
      'src/globals.d.ts': '',
      'vitest.config.ts': '',
    },
  ],
};

const sizes: HouseRule = {
  name: `files have at most ${MOST_LINES} lines, functions at most ${MOST_FUNCTION_LINES}`,
  check(tree) {
    const faults: string[] = [];
    for (const file of tree.files) {
      if (file.lineCount > MOST_LINES) faults.push(`${file.path}: ${file.lineCount} lines`);
      if (/(^|\/)test\//.test(file.path) || file.path === UNROLLED) continue;
      for (const node of file.nodes()) {
        if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) continue;
        const lines = file.lineOf(node.end - 1) - file.lineOf(node.start) + 1;
        if (lines > MOST_FUNCTION_LINES) faults.push(`${file.at(node)}: a function of ${lines} lines`);
      }
    }
    return faults;
  },
  broken: [
    { 'src/a.ts': '//\n'.repeat(MOST_LINES + 1) },
    { 'test/a.test.ts': '//\n'.repeat(MOST_LINES + 1) },
    { 'src/a.ts': `function a() {\n${'//\n'.repeat(MOST_FUNCTION_LINES)}}` },
    { 'src/a.ts': `class A {\n  b() {\n${'//\n'.repeat(MOST_FUNCTION_LINES)}}\n}` },
    { 'apps/one/src/a.ts': `const a = () => {\n${'//\n'.repeat(MOST_FUNCTION_LINES)}};` },
  ],
  kept: [
    {
      'src/a.ts': '//\n'.repeat(MOST_LINES),
      'src/b.ts': `class B {\n${'  b() {}\n'.repeat(MOST_FUNCTION_LINES)}\n}`,
      'test/a.test.ts': `describe('a', () => {\n${'//\n'.repeat(MOST_FUNCTION_LINES)}});`,
    },
  ],
};

const erasable: HouseRule = {
  name: 'TypeScript that runs as it stands: erasable syntax, `.ts` endings',
  check(tree) {
    const faults: string[] = [];
    for (const file of tree.files) {
      for (const node of file.nodes()) {
        const found = unerasable(node);
        if (found !== undefined) faults.push(`${file.at(node)}: ${found} cannot be erased`);
      }
      for (const { specifier, path, line } of file.imports) {
        if (path !== undefined && !/\.(ts|json)$/.test(specifier) && !path.includes('dist/')) {
          faults.push(`${file.path}:${line}: ${specifier} does not end in .ts`);
        }
      }
    }
    return faults;
  },
  broken: [
    { 'src/a.ts': 'enum A { b }' },
    { 'src/a.ts': 'namespace A { export const b = 1; }' },
    { 'src/a.ts': 'class A { constructor(private b: number) {} }' },
    { 'src/a.ts': 'const a = <string>b;' },
    { 'src/a.ts': "import a = require('a');" },
    { 'src/a.ts': "import { b } from './b.js';" },
    { 'src/a.ts': "import { b } from './b';" },
  ],
  kept: [
    {
      'src/a.ts':
        "import { b } from './b.ts'; declare global { var gc: () => void; } const a = b as string; class A { #b = 1; }",
    },
  ],
};

function unerasable(node: SyntaxNode): string | undefined {
  if (node.declare === true) return undefined;
  switch (node.type) {
    case 'TSEnumDeclaration':
      return 'an enum';
    case 'TSModuleDeclaration':
      return node.kind === 'global' ? undefined : 'a namespace';
    case 'TSParameterProperty':
      return 'a parameter property';
    case 'TSTypeAssertion':
      return 'an assertion in angle brackets';
    case 'TSImportEqualsDeclaration':
    case 'TSExportAssignment':
      return 'a CommonJS import or export';
    default:
      return undefined;
  }
}

const finished: HouseRule = {
  name: 'nothing is left for later: no marks in comments, no test switched off without saying why',
  check(tree) {
    const faults: string[] = [];
    for (const file of tree.files) {
      for (const comment of file.comments) {
        const mark = /\b(TODO|FIXME|XXX|HACK)\b/.exec(comment.value)?.[0];
        if (mark !== undefined) faults.push(`${file.at(comment)}: ${mark}`);
      }
      if (file.path.endsWith('.test.ts')) faults.push(...switchedOff(file));
    }
    return faults;
  },
  broken: [
    { 'src/a.ts': `// ${'TO'}DO: later` },
    { 'bench/a.ts': `/* ${'FIX'}ME */` },
    { 'test/a.test.ts': "it.only('a', () => {});" },
    { 'test/a.test.ts': "describe.skip('a', () => {});" },
    { 'test/a.test.ts': "it.todo('a');" },
    { 'test/a.test.ts': "it('a', (context) => { context.skip(); });" },
  ],
  kept: [
    {
      'src/a.ts': "const TODO = 'a name is no mark';",
      'test/a.test.ts':
        "it('a', (context) => { context.skip('there is no cgroup here'); }); it.skipIf(isWindows)('reads a pipe', () => {});",
    },
  ],
};

function switchedOff(file: SourceFile): string[] {
  const faults: string[] = [];
  for (const node of file.nodes()) {
    if (node.type !== 'CallExpression' || !isNode(node.callee) || node.callee.type !== 'MemberExpression') continue;
    const object = (node.callee.object as SyntaxNode).name;
    const property = String((node.callee.property as SyntaxNode).name);
    const isTest = object === 'it' || object === 'test' || object === 'describe';
    const count = (node.arguments as SyntaxNode[]).length;
    if (isTest && /^(only|skip|todo)$/.test(property)) faults.push(`${file.at(node)}: .${property}`);
    else if (property === 'skip' && count === 0) faults.push(`${file.at(node)}: .skip without a message`);
  }
  return faults;
}

const documents: HouseRule = {
  name: 'what ARCHITECTURE.md names in backticks exists',
  check(tree) {
    const text = tree.read('ARCHITECTURE.md');
    if (text === undefined) return [];
    const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '');
    const spoken = new Set<string>();
    for (const file of tree.files) for (const word of file.text.match(/[\w$]+/g) ?? []) spoken.add(word);
    const faults: string[] = [];
    for (const [, span = ''] of prose.matchAll(/`([^`\n]+)`/g)) {
      const missing = missingIn(tree, spoken, span);
      if (missing !== undefined) faults.push(`ARCHITECTURE.md: \`${span}\`: there is no ${missing}`);
    }
    return faults;
  },
  broken: [
    { 'ARCHITECTURE.md': 'See `src/gone/`.', 'src/here/index.ts': '' },
    { 'ARCHITECTURE.md': 'See `src/gone.ts`.', 'src/here.ts': '' },
    { 'ARCHITECTURE.md': 'Call `governor.vanish()`.', 'src/a.ts': 'const governor = 1;' },
    { 'ARCHITECTURE.md': 'Run `npm run dance`.', 'package.json': '{"scripts": {"test": ""}}' },
    { 'ARCHITECTURE.md': 'Import `plimsoll/gone`.', 'package.json': '{"exports": {".": {}}}' },
  ],
  kept: [
    {
      'ARCHITECTURE.md':
        'See `src/here/`, `here/a.ts`, `governor.sample()`, `npm run dance`, `npm ci`, `plimsoll/here`.',
      'src/here/a.ts': 'governor.sample();',
      'package.json': '{"exports": {"./here": {}}, "scripts": {"dance": ""}}',
    },
  ],
};

/** What of a code span does not exist; undefined when all of it does. */
function missingIn(tree: SourceTree, spoken: ReadonlySet<string>, span: string): string | undefined {
  const manifest = JSON.parse(tree.read('package.json') ?? '{}') as Record<string, Record<string, unknown> | undefined>;
  const script = /^npm (?:run )?([\w:-]+)/.exec(span)?.[1];
  if (script !== undefined)
    return script === 'ci' || manifest.scripts?.[script] !== undefined ? undefined : 'such script';
  if (/^plimsoll(\/|$)/.test(span)) {
    return manifest.exports?.[span.replace('plimsoll', '.')] !== undefined ? undefined : 'such door';
  }
  if (span.includes('/') || /\.(ts|md|json|toml)$/.test(span)) {
    const path = span.replace(/\/$/, '');
    const found =
      [path, `src/${path}`].some((each) => tree.has(each)) || tree.files.some((file) => file.path.endsWith(`/${path}`));
    return found ? undefined : 'such file or folder';
  }
  const word = (span.match(/[A-Za-z_$][\w$]*/g) ?? []).find((each) => !spoken.has(each));
  return word === undefined ? undefined : `\`${word}\` in the code`;
}

export const TIDINESS_RULES: readonly HouseRule[] = [names, sizes, erasable, finished, documents];
