import { parseBytes } from '../bytes.ts';
import { hasControlCharacters, withoutControlCharacters } from '../control-characters.ts';
import { checkKnownOptions } from '../invalid-option.ts';
import { PAGE_BYTES } from './abi-contract.ts';
import type { PluginManifest } from './plugin-contract.ts';
import { PluginManifestError, PluginTomlError } from './plugin-errors.ts';

/** The longest manifest that is read, bytes. */
export const MAX_MANIFEST_BYTES = 65_536;
/** As much as 32 bits can point at. */
const MAX_HEAP_BYTES = 2 ** 32;
const MAX_STAGES = 16;
const MAX_DESCRIPTION = 200;
const KEYS = [
  'name',
  'version',
  'abi',
  'wasm',
  'stages',
  'min_heap',
  'max_heap',
  'supports_streaming',
  'supports_compression',
  'description',
] as const;
/** Other spellings, and what they stand for. */
const ALIASES: Readonly<Record<string, Key>> = {
  minHeap: 'min_heap',
  maxHeap: 'max_heap',
  supportsStreaming: 'supports_streaming',
  supportsCompression: 'supports_compression',
};
type Key = (typeof KEYS)[number];

/**
 * Reads the manifest of a plugin, TOML as in ABI.md. `file` is only for messages. Loads `smol-toml` when it is first called.
 * @throws PluginManifestError `PLIMSOLL_PLUGIN_MANIFEST`, one line with file and key; `PLIMSOLL_PLUGIN_TOML` where `smol-toml` is not installed
 */
export async function parseManifest(text: string, file: string): Promise<PluginManifest> {
  if (text.length > MAX_MANIFEST_BYTES) {
    throw new PluginManifestError(file, undefined, `is longer than ${MAX_MANIFEST_BYTES} bytes`);
  }
  const { parse } = await loadToml();
  let table: Readonly<Record<string, unknown>>;
  try {
    table = parse(text);
  } catch (cause) {
    throw new PluginManifestError(file, undefined, describeToml(cause), cause);
  }
  return checkManifest(table, file);
}

/** Checks what was read from TOML, or made in a program. @throws PluginManifestError */
export function checkManifest(given: Readonly<Record<string, unknown>>, file: string): PluginManifest {
  const table = new ManifestTable(given, file);
  const minHeapBytes = Math.ceil(table.size('min_heap', 0) / PAGE_BYTES) * PAGE_BYTES;
  const maxHeapBytes = Math.floor(table.size('max_heap') / PAGE_BYTES) * PAGE_BYTES;
  if (maxHeapBytes < PAGE_BYTES) throw table.fault('max_heap', 'is less than a page of 64KiB');
  if (minHeapBytes > maxHeapBytes) throw table.fault('min_heap', 'is more than `max_heap`');
  return {
    name: table.match('name', /^[a-z0-9][a-z0-9-]{0,63}$/, 'small letters, digits and `-`, 64 at most'),
    version: table.match('version', /^[\w.+-]{1,40}$/, 'a version like `1.0.0`, 40 characters at most'),
    abi: table.abi(),
    wasm: table.match('wasm', /^[\w-][\w.-]{0,99}\.wasm$/, 'the name of a `.wasm` file beside the manifest'),
    stages: table.stages(),
    minHeapBytes,
    maxHeapBytes,
    supportsStreaming: table.flag('supports_streaming'),
    supportsCompression: table.flag('supports_compression'),
    description: table.line('description', MAX_DESCRIPTION),
  };
}

/** The keys of a manifest under their first spelling, read with complaints that say where. */
class ManifestTable {
  readonly #values = new Map<Key, unknown>();
  readonly #file: string;

  constructor(given: Readonly<Record<string, unknown>>, file: string) {
    this.#file = file;
    for (const [spelling, value] of Object.entries(given)) {
      const key = Object.hasOwn(ALIASES, spelling) ? ALIASES[spelling]! : (spelling as Key);
      if (this.#values.has(key)) throw this.fault(spelling, `is there twice, as \`${key}\` too`);
      if (!KEYS.includes(key)) throw this.#unknown(spelling);
      this.#values.set(key, value);
    }
    for (const key of ['name', 'version', 'abi', 'wasm', 'stages', 'max_heap'] as const) {
      if (!this.#values.has(key)) throw this.fault(key, 'is missing');
    }
  }

  fault(key: string, what: string): PluginManifestError {
    return new PluginManifestError(this.#file, key, what);
  }

  has(key: Key): boolean {
    return this.#values.has(key);
  }

  match(key: Key, pattern: RegExp, expected: string): string {
    const value = this.#values.get(key);
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw this.#wrong(key, expected, value);
  }

  line(key: Key, most: number): string | undefined {
    if (!this.has(key)) return undefined;
    const value = this.#values.get(key);
    if (typeof value === 'string' && value.length <= most && !hasControlCharacters(value)) return value;
    throw this.#wrong(key, `a line of at most ${most} characters`, value);
  }

  abi(): 1 {
    const value = this.#values.get('abi');
    if (value === 1 || value === 1n) return 1;
    throw this.#wrong('abi', '1, the version that this host has', value);
  }

  flag(key: Key): boolean {
    const value = this.#values.get(key) ?? false;
    if (typeof value === 'boolean') return value;
    throw this.#wrong(key, '`true` or `false`', value);
  }

  size(key: Key, otherwise?: number): number {
    const value = this.#values.get(key) ?? otherwise;
    try {
      const isSize = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint';
      const bytes = isSize ? parseBytes(String(value)) : Number.NaN;
      if (bytes <= MAX_HEAP_BYTES) return bytes;
    } catch {
      // Said below.
    }
    throw this.#wrong(key, 'a size like `16MiB`, 4GiB at most', value);
  }

  stages(): readonly string[] {
    const value = this.#values.get('stages');
    const expected = `1 to ${MAX_STAGES} names of stages, of letters, digits, \`-\` and \`_\``;
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_STAGES) {
      throw this.#wrong('stages', expected, value);
    }
    for (const stage of value) {
      if (typeof stage !== 'string' || !/^[\w-]{1,64}$/.test(stage)) throw this.#wrong('stages', expected, stage);
    }
    return [...new Set(value as string[])];
  }

  #wrong(key: Key, expected: string, got: unknown): PluginManifestError {
    const text =
      typeof got === 'string'
        ? got
        : (JSON.stringify(got, (_, each) => (typeof each === 'bigint' ? String(each) : each)) ?? 'nothing');
    const shown = withoutControlCharacters(text);
    return this.fault(key, `is to be ${expected}, not \`${shown.length > 60 ? `${shown.slice(0, 60)}...` : shown}\``);
  }

  #unknown(spelling: string): PluginManifestError {
    const shown = withoutControlCharacters(spelling).slice(0, 60);
    try {
      checkKnownOptions('a manifest', { [spelling]: undefined }, KEYS);
    } catch (cause) {
      const advice = /: ([^:]*)$/.exec((cause as Error).message)?.[1] ?? '';
      return this.fault(shown, `is no key of a manifest: ${advice}`);
    }
    return this.fault(shown, 'is no key of a manifest');
  }
}

async function loadToml(): Promise<{ parse(text: string): Readonly<Record<string, unknown>> }> {
  try {
    return await import('smol-toml');
  } catch (cause) {
    throw new PluginTomlError(cause);
  }
}

/** Without the picture of the place that the message has below it. */
function describeToml(cause: unknown): string {
  const { line, column } = cause as { line?: number; column?: number };
  const message = String((cause as Error)?.message ?? cause).split('\n')[0]!;
  return line === undefined ? message : `line ${line}, column ${column}: ${message}`;
}
