/** The plugins that stand in the papers are compiled and run. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor } from 'plimsoll';
import { loadPlugins, PluginHost } from 'plimsoll/wasm';
import { afterAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-papers-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const HAS_CLANG =
  spawnSync('clang', ['--print-targets'], { encoding: 'utf8' }).stdout?.includes('wasm32') === true &&
  spawnSync('wasm-ld', ['--version']).status === 0;
if (!HAS_CLANG) console.warn('skipped: the plugin in C, because there is no clang and wasm-ld for wasm32');

function block(paper: string, language: string): string {
  const text = readFileSync(join(ROOT, paper), 'utf8');
  return new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(text)![1]!;
}

/** A channel with nothing but a URL, framed. */
function channel(id: number, url: string): Buffer {
  const record = Buffer.alloc(40 + url.length, 0xff);
  record.writeUInt32LE(36 + url.length);
  record.writeUInt32LE(id, 4);
  record.writeUInt32LE(url.length, 36);
  record.write(url, 40);
  return record;
}

/** What comes back for three channels, in order. */
async function answersFrom(name: string): Promise<string[]> {
  using governor = createGovernor({ limitBytes: 2 ** 30 });
  await using host = new PluginHost({ governor, maxPluginBytes: 2 ** 24, maxTotalBytes: 2 ** 24 });
  const { plugins, problems } = await loadPlugins(dir);
  expect(problems).toEqual([]);
  const plugin = plugins.find(({ manifest }) => manifest.name === name)!;
  await using instance = await host.open(plugin, { stage: 'filtering' });
  const urls = ['https://a.example/1', 'http://b.example/2', 'https://c.example/3'];
  const output = Buffer.from(await instance.process(Buffer.concat(urls.map((url, i) => channel(10 + i, url)))));
  const answers: string[] = [];
  for (let at = 0; at < output.length; at += 4 + output.readUInt32LE(at)) {
    const isGone = output.readUInt32LE(at) === 8;
    answers.push(
      `${output.readUInt32LE(at + 4)} ${isGone ? `goes by filter ${output.readUInt32LE(at + 8)}` : 'stays'}`,
    );
  }
  return answers;
}

test('the plugin of plugins/README.md does what is said of it, made as is said', async () => {
  writeFileSync(join(dir, 'only-https.toml'), block('plugins/README.md', 'toml'));
  // Written into the project, so that the compiler finds the package.
  mkdirSync(join(ROOT, 'test', '.tmp'), { recursive: true });
  const source = join(ROOT, 'test', '.tmp', `only-https-${process.pid}.ts`);
  const [, ...args] = block('plugins/README.md', 'sh').trim().split(' ');
  try {
    writeFileSync(source, block('plugins/README.md', 'ts'));
    const out = join(dir, 'only-https.wasm');
    const given = args.map((arg) => (arg === 'only-https.ts' ? source : arg === 'only-https.wasm' ? out : arg));
    execFileSync('npx', given, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    expect(readFileSync(out).length).toBeLessThan(2_500);
  } finally {
    rmSync(source, { force: true });
  }
  expect(await answersFrom('only-https')).toEqual(['10 stays', '11 goes by filter 0', '12 stays']);
});

test.skipIf(!HAS_CLANG)('the plugin of PLUGINS.md keeps every channel', async () => {
  const text = readFileSync(join(ROOT, 'apps/playlist/PLUGINS.md'), 'utf8');
  const [, ...args] = /`(clang .*?)`/.exec(text)![1]!.split(' ');
  const source = join(dir, 'plugin.c');
  writeFileSync(source, block('apps/playlist/PLUGINS.md', 'c'));
  const given = args.map((arg) => (arg === 'plugin.c' ? source : arg === 'plugin.wasm' ? join(dir, arg) : arg));
  execFileSync('clang', [...given, `-I${join(ROOT, 'plugins/samples/filter-stream-c')}`]);
  const manifest = block('plugins/README.md', 'toml').replaceAll('only-https', 'plugin');
  writeFileSync(join(dir, 'plugin.toml'), manifest);
  expect(await answersFrom('plugin')).toEqual(['10 stays', '11 stays', '12 stays']);
});
