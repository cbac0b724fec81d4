import type { HouseRule, SourceFile, SourceTree } from './source-file.ts';

/** Rooms of `src/` by floor. What stands in `src/` itself is the vocabulary, floor 0. */
const FLOORS: readonly (readonly string[])[] = [
  [],
  ['governor'],
  ['spill'],
  ['cache', 'pool', 'intern', 'lifetime', 'shared', 'mmap', 'wasm', 'message', 'adopt', 'http'],
  ['pipeline'],
  ['observe', 'metrics'],
  ['cli', 'dashboard', 'auto', 'prometheus', 'otel'],
];

/** Files of `src/` that are entries and no vocabulary: they put rooms together. */
const ENTRIES = new Set(['src/index.ts', 'src/auto.ts', 'src/cli.ts']);

function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function floorOf(path: string): number {
  const room = roomOf(path);
  return room === undefined ? 0 : FLOORS.findIndex((rooms) => rooms.includes(room));
}

function libraryFiles(tree: SourceTree): readonly SourceFile[] {
  return tree.files.filter((file) => file.path.startsWith('src/'));
}

const knownRooms: HouseRule = {
  name: 'every room has a floor and a door, and is one level deep',
  check(tree) {
    const faults: string[] = [];
    for (const { path } of libraryFiles(tree)) {
      const room = roomOf(path);
      if (room === undefined) continue;
      if (floorOf(path) < 0) faults.push(`${path}: the room \`${room}\` stands on no floor`);
      if (path.split('/').length > 3) faults.push(`${path}: a room is one level deep`);
      if (!tree.has(`src/${room}/index.ts`)) faults.push(`src/${room}: has no door (index.ts)`);
    }
    for (const { path } of tree.files) {
      if (/^apps\/[^/]+\/src\//.test(path) && path.split('/').length > 5)
        faults.push(`${path}: a room is one level deep`);
    }
    return [...new Set(faults)];
  },
  broken: [
    { 'src/attic/index.ts': '' },
    { 'src/cache/lru/list.ts': '', 'src/cache/index.ts': '' },
    { 'src/cache/list.ts': '' },
    { 'apps/one/src/rules/deep/parser.ts': '' },
  ],
  kept: [
    {
      'src/cache/index.ts': '',
      'src/cache/list.ts': '',
      'apps/one/src/rules/parser.ts': '',
      'apps/one/src/main.ts': '',
    },
  ],
};

const floors: HouseRule = {
  name: 'a file imports from its own room and from lower floors only',
  check(tree) {
    const faults: string[] = [];
    for (const file of libraryFiles(tree)) {
      if (ENTRIES.has(file.path)) continue;
      for (const { path, line } of file.imports) {
        if (path === undefined || (roomOf(path) !== undefined && roomOf(path) === roomOf(file.path))) continue;
        const [from, to] = [floorOf(file.path), floorOf(path)];
        if (!path.startsWith('src/')) faults.push(`${file.path}:${line}: reaches out of the house to ${path}`);
        else if (ENTRIES.has(path)) faults.push(`${file.path}:${line}: goes through the entry ${path}`);
        else if (to > 0 && to >= from)
          faults.push(`${file.path}:${line}: floor ${from} imports ${path} on floor ${to}`);
      }
    }
    return faults;
  },
  broken: [
    { 'src/governor/a.ts': "import { b } from '../cache/index.ts';" },
    { 'src/cache/a.ts': "import type { Pool } from '../pool/index.ts';" },
    { 'src/cache/a.ts': "export { x } from '../pool/index.ts';" },
    { 'src/cache/a.ts': "const lazy = () => import('../pipeline/index.ts');" },
    { 'src/cache/a.ts': "type X = import('../pool/index.ts').X;" },
    { 'src/cache/a.ts': "new Worker(new URL('../pool/worker.ts', import.meta.url));" },
    { 'src/bytes.ts': "import { a } from './governor/index.ts';" },
    { 'src/cache/a.ts': "import { a } from '../index.ts';" },
    { 'src/cache/a.ts': "import { a } from '../../apps/one/src/a.ts';" },
  ],
  kept: [
    {
      'src/pipeline/a.ts':
        "import { b } from './b.ts'; import { g } from '../governor/index.ts'; import { c } from '../bytes.ts';",
      'src/bytes.ts': "import { a } from './errors.ts';",
      'src/index.ts': "export { a } from './governor/index.ts';",
    },
  ],
};

const doors: HouseRule = {
  name: 'across rooms the door is imported, inside a room the file',
  check(tree) {
    const faults: string[] = [];
    for (const file of libraryFiles(tree)) {
      for (const { path, line } of file.imports) {
        const room = path === undefined ? undefined : roomOf(path);
        if (room === undefined) continue;
        const isDoor = path === `src/${room}/index.ts`;
        if (room === roomOf(file.path) && isDoor) faults.push(`${file.path}:${line}: goes through its own door`);
        if (room !== roomOf(file.path) && !isDoor)
          faults.push(`${file.path}:${line}: climbs in at ${path}, not by the door`);
      }
    }
    return faults;
  },
  broken: [
    { 'src/pipeline/a.ts': "import { b } from '../governor/ledger.ts';" },
    { 'src/index.ts': "export { b } from './governor/ledger.ts';" },
    { 'src/cache/a.ts': "import { b } from './index.ts';" },
  ],
  kept: [{ 'src/pipeline/a.ts': "import { b } from '../governor/index.ts'; import { c } from './c.ts';" }],
};

const bareDoors: HouseRule = {
  name: 'a door has a @module paragraph, named exports and no logic',
  check(tree) {
    const faults: string[] = [];
    for (const file of tree.files) {
      if (!/^src\/([^/]+\/)?index\.ts$/.test(file.path)) continue;
      const [first] = file.comments;
      const words = (first?.value ?? '')
        .replaceAll(/[*\s]+/g, ' ')
        .replace('@module', '')
        .trim();
      if (first?.start !== 0 || !first.value.includes('@module') || words.length < 40) {
        faults.push(`${file.path}: does not begin with a paragraph and @module`);
      }
      for (const statement of file.program.body as { type: string; source?: unknown; start: number }[]) {
        const isExport = statement.type === 'ExportNamedDeclaration' && statement.source != null;
        if (!isExport) faults.push(`${file.at(statement)}: a door has nothing but named exports from its files`);
      }
    }
    return faults;
  },
  broken: [
    { 'src/index.ts': "export { a } from './bytes.ts';" },
    {
      'src/cache/index.ts':
        "/** Keeps things within a number of bytes, and gives them back. */\nexport { a } from './a.ts';",
    },
    {
      'src/cache/index.ts':
        "/**\n * Keeps things within a bound of bytes, and gives back.\n * @module\n */\nexport * from './a.ts';",
    },
    {
      'src/cache/index.ts':
        '/**\n * Keeps things within a bound of bytes, and gives back.\n * @module\n */\nexport const a = 1;',
    },
    { 'src/cache/index.ts': "/**\n * @module\n */\nexport { a } from './a.ts';" },
  ],
  kept: [
    {
      'src/cache/index.ts':
        "/**\n * Keeps things within a bound of bytes, and gives back.\n * @module\n */\nexport { a, type B } from './a.ts';\nexport type { C } from './c.ts';",
    },
  ],
};

/** Optional peers, and the files that load them. */
const MAY_BE_ABSENT: Readonly<Record<string, readonly string[]>> = {
  koffi: ['src/mmap/native.ts', 'src/governor/allocator.ts'],
  'smol-toml': ['src/wasm/plugin-manifest.ts'],
};

/** What the package depends on, and the room that has it: whoever takes a library door loads none of it. */
const DEPENDENCIES: Readonly<Record<string, string>> = { commander: 'src/cli/' };

const selfSufficient: HouseRule = {
  name: 'the library imports nothing but itself, `node:`, what may be absent and, in the command line, its parser',
  check(tree) {
    const faults: string[] = [];
    for (const file of libraryFiles(tree)) {
      for (const { specifier, path, line, how } of file.imports) {
        if (path !== undefined || specifier.startsWith('node:')) continue;
        const home = DEPENDENCIES[specifier];
        if (home !== undefined && file.path.startsWith(home)) continue;
        const places = MAY_BE_ABSENT[specifier];
        if (places === undefined) faults.push(`${file.path}:${line}: imports ${specifier}`);
        else if (!places.includes(file.path) || how === 'static') {
          faults.push(`${file.path}:${line}: ${specifier} is loaded in ${places.join(' and ')}, on first use`);
        }
      }
    }
    return faults;
  },
  broken: [
    { 'src/cache/a.ts': "import lru from 'lru-cache';" },
    { 'src/cache/a.ts': "import { readFileSync } from 'fs';" },
    { 'src/cache/a.ts': "await import('koffi');" },
    { 'src/mmap/native.ts': "import koffi from 'koffi';" },
    { 'src/cache/a.ts': "await import('smol-toml');" },
    { 'src/wasm/plugin-manifest.ts': "import { parse } from 'smol-toml';" },
    { 'src/cache/a.ts': "import { Governor } from 'plimsoll';" },
    { 'src/observe/a.ts': "import { Command } from 'commander';" },
    { 'src/cli/a.ts': "import chalk from 'chalk';" },
  ],
  kept: [
    { 'src/mmap/native.ts': "const load = () => import('koffi');", 'src/clock.ts': "import { a } from 'node:fs';" },
    { 'src/wasm/plugin-manifest.ts': "const load = () => import('smol-toml');" },
    { 'src/cli/a.ts': "import { Command } from 'commander';" },
  ],
};

const apps: HouseRule = {
  name: 'an app stands on its own: plimsoll by its doors, what its package names, and its own files',
  check(tree) {
    const library = JSON.parse(tree.read('package.json') ?? '{}') as { exports?: Record<string, unknown> };
    const known = new Set(Object.keys(library.exports ?? {}).map((door) => `plimsoll${door.slice(1)}`));
    const faults: string[] = [];
    for (const file of tree.files) {
      const home = /^(apps\/[^/]+)\/src\//.exec(file.path)?.[1];
      if (home === undefined) continue;
      const own = JSON.parse(tree.read(`${home}/package.json`) ?? '{}') as { dependencies?: Record<string, string> };
      for (const { specifier, path, line } of file.imports) {
        const where = `${file.path}:${line}`;
        const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
        if (path !== undefined) {
          if (!path.startsWith(`${home}/src/`)) faults.push(`${where}: reaches out of the app to ${path}`);
        } else if (name === 'plimsoll') {
          if (!known.has(specifier)) faults.push(`${where}: there is no door ${specifier}`);
        } else if (!specifier.startsWith('node:') && own.dependencies?.[name] === undefined) {
          faults.push(`${where}: ${name} is not among the app's dependencies`);
        }
      }
    }
    return faults;
  },
  broken: [
    { 'apps/one/src/a.ts': "import { a } from '../../../src/bytes.ts';" },
    { 'apps/one/src/a.ts': "import { a } from 'plimsoll/governor';", 'package.json': '{"exports": {".": {}}}' },
    { 'apps/one/src/a.ts': "import { a } from 'zod';", 'apps/one/package.json': '{"dependencies": {}}' },
    { 'apps/one/src/a.ts': "import { a } from '@hono/node-server';" },
    { 'apps/one/src/a.ts': "import { a } from 'fs';" },
  ],
  kept: [
    {
      'apps/one/src/a.ts':
        "import 'plimsoll'; import 'plimsoll/cache'; import 'zod/mini'; import 'node:fs'; import './b.ts';",
      'package.json': '{"exports": {".": {}, "./cache": {}}}',
      'apps/one/package.json': '{"dependencies": {"zod": "^4"}}',
    },
  ],
};

const noCycles: HouseRule = {
  name: 'no file loads itself by a detour',
  check(tree) {
    const edges = new Map<string, string[]>();
    for (const { path, imports } of tree.files) {
      edges.set(
        path,
        imports.flatMap((edge) => (edge.how === 'static' && edge.path !== undefined ? [edge.path] : [])),
      );
    }
    return findCycles(edges).map((cycle) => `${cycle[0]}: ${cycle.join(' -> ')}`);
  },
  broken: [
    { 'src/a.ts': "import './b.ts';", 'src/b.ts': "import './c.ts';", 'src/c.ts': "export { x } from './a.ts';" },
    { 'src/a.ts': "import './a.ts';" },
  ],
  kept: [
    {
      'src/a.ts': "import './b.ts'; import './c.ts';",
      'src/b.ts': "import './c.ts';",
      'src/c.ts': "import type { A } from './a.ts';",
    },
  ],
};

/** Each cycle a depth-first search meets first. */
function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) return void cycles.push([...trail.slice(at), path]);
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return cycles;
}

export const FLOOR_RULES: readonly HouseRule[] = [knownRooms, floors, doors, bareDoors, selfSufficient, apps, noCycles];
