import { constants, open, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasControlCharacters, withoutControlCharacters } from '../control-characters.ts';
import { CheckedPlugin, MAX_MODULE_BYTES } from './checked-plugin.ts';
import type { Plugin, PluginManifest } from './plugin-contract.ts';
import { PluginManifestError, PluginTomlError } from './plugin-errors.ts';
import { checkManifest, MAX_MANIFEST_BYTES, parseManifest } from './plugin-manifest.ts';

/** What is made in a program instead of read from a file. Bytes need not be whole pages. */
export type PluginDefinition = Pick<PluginManifest, 'name' | 'stages' | 'maxHeapBytes'> &
  Partial<Omit<PluginManifest, 'abi' | 'wasm'>>;

export interface LoadedPlugins {
  /** By the names of their manifests' files. */
  readonly plugins: Plugin[];
  /** One line for each plugin that was not taken. */
  readonly problems: string[];
}

/** The most manifests that a folder may have. */
const MAX_PLUGINS = 256;

/**
 * Takes a module that is at hand, for tests and for plugins that come with a program. None of it runs. The bytes are kept, not copied.
 * @throws PluginManifestError `PLIMSOLL_PLUGIN_MANIFEST`, PluginRejectedError `PLIMSOLL_PLUGIN_REJECTED`
 */
export async function definePlugin(definition: PluginDefinition, wasm: Uint8Array): Promise<Plugin> {
  const { minHeapBytes = 0, maxHeapBytes, supportsStreaming = false, supportsCompression = false } = definition;
  const manifest = checkManifest(
    {
      name: definition.name,
      version: definition.version ?? '0.0.0',
      abi: 1,
      wasm: 'inline.wasm',
      stages: definition.stages,
      min_heap: minHeapBytes,
      max_heap: maxHeapBytes,
      supports_streaming: supportsStreaming,
      supports_compression: supportsCompression,
      ...(definition.description !== undefined && { description: definition.description }),
    },
    'definePlugin',
  );
  return CheckedPlugin.check(manifest, wasm);
}

/**
 * Reads every `*.toml` of a folder and the module beside it that it names. What is wrong with one is a line in `problems`, and the others are taken; of two with one name the first is.
 * Modules are compiled, and none of them runs. Files outside the folder are not read, by links neither. At most 256 manifests of 64 KiB and modules of 4 MiB.
 * Rejects with `PLIMSOLL_PLUGIN_MANIFEST` where the folder cannot be read, and with `PLIMSOLL_PLUGIN_TOML` where `smol-toml` is not installed.
 */
export async function loadPlugins(dir: string): Promise<LoadedPlugins> {
  const { home, files } = await openFolder(dir);
  const plugins: Plugin[] = [];
  const problems: string[] = [];
  if (files.length > MAX_PLUGINS) {
    problems.push(`${dir}: has ${files.length} manifests, and only the first ${MAX_PLUGINS} are read`);
  }
  for (const name of files.slice(0, MAX_PLUGINS)) {
    const file = join(dir, name);
    // A line of `problems` is one line, and writes over nothing on a terminal.
    if (hasControlCharacters(name)) {
      problems.push(`${join(dir, withoutControlCharacters(name))}: has control characters in its name`);
      continue;
    }
    try {
      const plugin = await loadPlugin(home, name, file);
      const same = plugins.find((each) => each.manifest.name === plugin.manifest.name);
      if (same === undefined) plugins.push(plugin);
      else problems.push(`${file}: \`name\`: ${plugin.manifest.name} is the name of ${same.file} too`);
    } catch (cause) {
      if (cause instanceof PluginTomlError) throw cause;
      const message = String((cause as Error)?.message ?? cause).split('\n')[0]!;
      problems.push(message.startsWith(file) ? message : `${file}: ${message}`);
    }
  }
  return { plugins, problems };
}

/** Where it really is, and its manifests in order. */
async function openFolder(dir: string): Promise<{ readonly home: string; readonly files: readonly string[] }> {
  try {
    const home = await realpath(dir);
    return { home, files: (await readdir(home)).filter((name) => name.endsWith('.toml')).sort() };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const what = `cannot be read (${code}): name a folder that has the plugins' \`.toml\` files`;
    throw new PluginManifestError(dir, undefined, what, cause);
  }
}

async function loadPlugin(home: string, name: string, file: string): Promise<Plugin> {
  const text = await readInside(
    home,
    name,
    MAX_MANIFEST_BYTES,
    (what) => new PluginManifestError(file, undefined, what),
  );
  const manifest = await parseManifest(text.toString('utf8'), file);
  const fault = (what: string) => new PluginManifestError(file, 'wasm', `${manifest.wasm} ${what}`);
  return CheckedPlugin.check(manifest, await readInside(home, manifest.wasm, MAX_MODULE_BYTES, fault), file);
}

/** A file of the folder itself, read to its bound and no further. */
async function readInside(home: string, name: string, most: number, fault: (what: string) => Error): Promise<Buffer> {
  const path = join(home, name);
  const real = await realpath(path).catch((cause) => {
    throw fault(`cannot be read: ${(cause as NodeJS.ErrnoException).code}`);
  });
  if (dirname(real) !== home) throw fault('is not in the folder of the plugins');
  // A pipe must not be waited for.
  const handle = await open(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((cause) => {
    throw fault(`cannot be read: ${(cause as NodeJS.ErrnoException).code}`);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw fault('is no file');
    if (stat.size > most) throw fault(`has ${stat.size} bytes, and ${most} are the most`);
    const buffer = Buffer.alloc(stat.size);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}
