/**
 * Builds the samples into `plugins/dist`: `npm run build:plugins`. AssemblyScript by its compiler, C by clang where it knows wasm32. What is up to date, by the
 * digest of everything it is made from, is left alone.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const HOME = import.meta.dirname;
const ROOT = join(HOME, '..');
const DIST = join(HOME, 'dist');
/** Two builds at a time do not meet. */
const PART = `.${process.pid}.part`;
/** What was built from what; gone with the modules, when it has to be built again. */
const STAMPS = join(ROOT, 'node_modules', '.cache', 'plugins.json');
const ASC = ['--runtime', 'minimal', '-O3', '--noAssert', '--enable', 'simd', '--use', 'abort=plugins/sdk/abort/abort'];
const CLANG = ['--target=wasm32', '-O3', '-msimd128', '-mbulk-memory', '-nostdlib', '-Wall', '-Wextra', '-Werror'];
const LINK = [
  '-Wl,--no-entry',
  '-Wl,--strip-all',
  '-Wl,--stack-first',
  '-Wl,-z,stack-size=8192',
  '-Wl,--initial-memory=131072',
];

interface Sample {
  readonly name: string;
  readonly language: 'AssemblyScript' | 'C';
  /** From the project's root. */
  readonly entry: string;
}

function findSamples(): Sample[] {
  return globSync('samples/*/plugin.toml', { cwd: HOME })
    .map((manifest) => manifest.replaceAll('\\', '/').split('/')[1]!)
    .sort()
    .map((name) => {
      const c = `plugins/samples/${name}/${name}.c`;
      return existsSync(join(ROOT, c))
        ? { name, language: 'C', entry: c }
        : { name, language: 'AssemblyScript', entry: `plugins/samples/${name}/index.ts` };
    });
}

/** Of its own sources, the kit's and those that samples share. */
function digestOf({ name, language }: Sample, tool: string): string {
  const hash = createHash('sha256').update(`${tool}\n${ASC.join(' ')}\n${CLANG.join(' ')}\n${LINK.join(' ')}`);
  const patterns = [`samples/${name}/*`, ...(language === 'C' ? [] : ['sdk/*.ts', 'samples/sorted-runs/*'])];
  for (const file of globSync(patterns, { cwd: HOME }).sort()) hash.update(file).update(readFileSync(join(HOME, file)));
  return hash.digest('hex');
}

async function compileAssemblyScript({ name, entry }: Sample): Promise<void> {
  const { default: asc } = await import('assemblyscript/asc');
  const out = `plugins/dist/${name}${PART}`;
  const { error, stderr } = await asc.main([entry, '--baseDir', ROOT, '-o', out, ...ASC]);
  if (error !== null) throw new Error(`${entry}: ${error.message}\n${stderr.toString()}`);
}

function compileC({ name, entry }: Sample): void {
  execFileSync('clang', [...CLANG, ...LINK, '-o', join(DIST, `${name}${PART}`), join(ROOT, entry)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** What clang calls itself; undefined where there is none that makes wasm32 modules. */
function clangVersion(): string | undefined {
  const targets = spawnSync('clang', ['--print-targets'], { encoding: 'utf8' });
  const linker = spawnSync('wasm-ld', ['--version'], { encoding: 'utf8' });
  return targets.stdout?.includes('wasm32') && linker.status === 0 ? linker.stdout.trim() : undefined;
}

async function build(sample: Sample, stamps: Record<string, string>): Promise<void> {
  const { name, language } = sample;
  const wasm = join(DIST, `${name}.wasm`);
  const tool = language === 'C' ? clangVersion() : readVersion('assemblyscript');
  if (tool === undefined) {
    console.log(`${name}: not built, because there is no clang and wasm-ld for wasm32 (Debian: apt install clang lld)`);
    for (const file of [wasm, join(DIST, `${name}.toml`)]) rmSync(file, { force: true });
    delete stamps[name];
    return;
  }
  const digest = digestOf(sample, tool);
  if (stamps[name] === digest && existsSync(wasm) && existsSync(join(DIST, `${name}.toml`))) return;
  if (language === 'C') compileC(sample);
  else await compileAssemblyScript(sample);
  renameSync(join(DIST, `${name}${PART}`), wasm);
  writeFileSync(join(DIST, `${name}.toml`), readFileSync(join(HOME, 'samples', name, 'plugin.toml')));
  stamps[name] = digest;
  console.log(`${name}: ${readFileSync(wasm).length.toLocaleString('en')} bytes, ${language}`);
}

function readVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as {
    version: string;
  };
  return `${name} ${version}`;
}

for (const dir of [DIST, dirname(STAMPS)]) mkdirSync(dir, { recursive: true });
const stamps = existsSync(STAMPS) ? (JSON.parse(readFileSync(STAMPS, 'utf8')) as Record<string, string>) : {};
for (const sample of findSamples()) {
  await build(sample, stamps);
  writeFileSync(STAMPS, `${JSON.stringify(stamps, null, 2)}\n`);
}
