import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly type: string;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly bundleDependencies?: readonly string[];
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Manifest;
}

const manifest = readManifest('package.json');
const doors = Object.entries(manifest.exports).flatMap(([door, target]) =>
  typeof target === 'string' ? [] : [{ door, target }],
);

describe('the package', () => {
  it('depends on the parser of its command line alone, which has no dependencies; what may be absent is an optional peer', () => {
    // A program that fails for want of a peer is no pleasure. No other room imports it: see the floors of test/architecture.
    expect(Object.keys(manifest.dependencies ?? {})).toEqual(['commander']);
    expect(readManifest('node_modules/commander/package.json').dependencies).toBeUndefined();
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(manifest.bundleDependencies).toBeUndefined();
    for (const name of Object.keys(manifest.peerDependencies ?? {})) {
      expect(manifest.peerDependenciesMeta?.[name]).toEqual({ optional: true });
    }
  });

  it('ships what is built and the papers, and nothing else', () => {
    expect(manifest.type).toBe('module');
    expect([...manifest.files].sort()).toEqual([
      '!docs/*.png',
      'ARCHITECTURE.md',
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'apps/playlist/PLUGINS.md',
      'dist',
      'docs',
      'plugins/README.md',
      'plugins/dist',
      'plugins/samples',
      'plugins/sdk',
      'src/wasm/ABI.md',
    ]);
    for (const paper of manifest.files)
      if (paper !== 'dist' && !paper.startsWith('!')) expect(existsSync(join(ROOT, paper)), paper).toBe(true);
  });

  it('has a line in the changelog for its version', () => {
    expect(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')).toContain(`\n## ${manifest.version}`);
  });

  it('has a door for every room but the governor, whose door is the main one', () => {
    const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? entry.name : [],
    );
    const expected = rooms.filter((room) => room !== 'governor').map((room) => `./${room}`);
    expect(doors.map(({ door }) => door)).toEqual(expect.arrayContaining(['.', ...expected]));
  });
});

/** Works by being loaded, and is no room: it exports nothing. */
const ENTRY = './auto';

describe.each(doors)('the door $door', ({ door, target }) => {
  const stem = door === '.' ? 'index' : door === ENTRY ? 'auto' : `${door.slice(2)}/index`;

  it('leads to its source, its types and its code, in the order in which they must be tried', () => {
    expect(Object.entries(target)).toEqual([
      ['source', `./src/${stem}.ts`],
      ['types', `./dist/${stem}.d.ts`],
      ['default', `./dist/${stem}.js`],
    ]);
    expect(existsSync(join(ROOT, target.source!))).toBe(true);
  });

  it('is built, and gives what its source gives', async (context) => {
    if (!existsSync(join(ROOT, 'dist'))) context.skip('dist/ is not there: npm run build');
    expect(existsSync(join(ROOT, target.types!))).toBe(true);
    if (door === ENTRY) return;
    const built = (await import(join(ROOT, target.default!))) as object;
    const source = (await import(join(ROOT, target.source!))) as object;
    expect(Object.keys(built).sort(), 'dist/ is out of date: npm run build').toEqual(Object.keys(source).sort());
  });
});

it('has a program for the command line, that is run as it is', () => {
  expect(manifest.bin).toEqual({ plimsoll: 'dist/cli.js' });
  expect(readFileSync(join(ROOT, 'src/cli.ts'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});

it('every app stands on this package as it stands here', () => {
  for (const app of readdirSync(join(ROOT, 'apps'))) {
    const { dependencies } = readManifest(join('apps', app, 'package.json'));
    expect(dependencies?.plimsoll, app).toBe('file:../..');
  }
});
