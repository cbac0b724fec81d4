import { globSync } from 'node:fs';
import { type FileHandle, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from 'plimsoll';
import type { FetchLimits } from '../config/config.ts';
import type { ByteSource } from './byte-source.ts';
import { openFile, openPipe, readHeld } from './file-source.ts';
import { inspectBeginning } from './inspect-content.ts';
import { type GoodFile, LastGood } from './last-good.ts';
import { type SourceContent, type SourceContext, type SourcePart, sourceLabel } from './source-content.ts';
import { SourceError, type SourceFault } from './source-error.ts';

/** A pattern may fit this many files. */
const MAX_FILES = 10_000;

interface LocalFile {
  readonly path: string;
  /** Undefined for pipes and devices: they are read once and nothing is remembered of them. */
  readonly sizeBytes: number | undefined;
  readonly modifiedMs: number;
  readonly isPipe: boolean;
}

/**
 * The files a path or pattern fits, in order of their names. A file that is empty, gone or sharply smaller than it was when it
 * was last read without fault, or is not what it should be, is replaced by the copy taken then, if there is one, with a warning; without one it is
 * left out, or read as far as it goes when it merely is damaged. Only what has a channel or programme is remembered. A file that is
 * merely no longer fitted by a pattern that still fits others counts as taken away on purpose.
 */
export async function openLocal(
  config: FetchLimits & { readonly name: string },
  kind: 'playlist' | 'guide',
  pattern: string,
  context: SourceContext,
): Promise<SourceContent> {
  const content = new LocalContent(config, kind, pattern, context);
  try {
    await content.find(pattern);
    return content;
  } catch (error) {
    await content[Symbol.asyncDispose]();
    throw error;
  }
}

class LocalContent implements SourceContent {
  readonly name: string;
  readonly type = 'm3u';
  readonly parts: SourcePart[] = [];
  readonly #maxBytes: number;
  readonly #kind: 'playlist' | 'guide';
  readonly #context: SourceContext;
  readonly #label: string;
  readonly #lastGood: LastGood;
  readonly #fresh: LocalFile[] = [];
  readonly #kept: GoodFile[] = [];
  /** Copies are held open: another run may remove them. */
  readonly #held: FileHandle[] = [];
  #firstFault: SourceError | undefined;

  constructor(
    config: FetchLimits & { readonly name: string },
    kind: 'playlist' | 'guide',
    pattern: string,
    context: SourceContext,
  ) {
    this.name = config.name;
    this.#maxBytes = config.maxBytes;
    this.#kind = kind;
    this.#context = context;
    this.#label = sourceLabel(kind, config.name);
    this.#lastGood = new LastGood(context.cacheDir, `path\0${kind}\0${pattern}`);
  }

  get stale(): boolean {
    return this.#kept.length > 0;
  }

  async find(pattern: string): Promise<void> {
    const found = await findFiles(this.#label, pattern);
    for (const file of found) await this.#take(file);
    if (found.length === 0) for (const good of this.#lastGood.files) await this.#standIn(good, 'is gone');
    if (this.parts.length === 0) throw this.#firstFault ?? (await nothingAt(this.#label, pattern, this.#kind));
  }

  async keep(): Promise<void> {
    if (this.#context.dryRun) return;
    try {
      await remember(this.#lastGood, this.#fresh, this.#kept);
    } catch (error) {
      this.#context.warn(`${this.#label}: cannot be kept as last good content: ${(error as Error).message}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#held) await handle.close();
  }

  async #take(file: LocalFile): Promise<void> {
    const { path, sizeBytes } = file;
    const { signal, warn, shrinkLimit } = this.#context;
    const maxBytes = this.#maxBytes;
    const part = { label: path, url: path, sizeBytes };
    if (sizeBytes === undefined) {
      this.parts.push({ ...part, open: () => openSpecial(file, maxBytes, signal) });
      return;
    }
    const good = this.#lastGood.find(path);
    const fault = await openFile(path, { maxBytes }).then((source) => faultOf(source, this.#kind, signal), asFault);
    if (fault !== undefined) {
      const why = fault.message.slice(`${path}: `.length);
      if (await this.#standIn(good, why)) return;
      // A guide of channels only, or a list of bad entries only: what is wrong with it is told by whoever reads it.
      if (fault.fault === 'empty' && sizeBytes > 0) {
        warn(`${this.#label}: ${path} ${why}`);
      } else if (NOT_MEANT.has(fault.fault)) {
        this.#firstFault ??= new SourceError(this.#label, `${path} ${why}`, { fault: fault.fault });
        warn(`${this.#label}: ${path} ${why}: it is left out`);
        return;
      }
    } else {
      if (good !== undefined && sizeBytes < good.sizeBytes * shrinkLimit) {
        const why = `has shrunk from ${formatBytes(good.sizeBytes)} to ${formatBytes(sizeBytes)}`;
        if (await this.#standIn(good, why)) return;
        warn(`${this.#label}: ${path} ${why}`);
      }
      this.#fresh.push(file);
    }
    this.parts.push({ ...part, open: () => openFile(path, { maxBytes }) });
  }

  /** False when there is no copy, or none that has anything. */
  async #standIn(good: GoodFile | undefined, why: string): Promise<boolean> {
    const handle = good && (await this.#lastGood.open(good));
    if (good === undefined || handle === undefined) return false;
    this.#held.push(handle);
    const label = good.name;
    const open = () => readHeld(handle, label, this.#maxBytes);
    const fault = await open().then((source) => faultOf(source, this.#kind, this.#context.signal), asFault);
    if (fault !== undefined) return false;
    const hint = `To accept it as it is, delete ${this.#lastGood.stateFile}`;
    this.#context.warn(`${this.#label}: ${label} ${why}: its last good content is used. ${hint}`);
    this.parts.push({ label, url: label, sizeBytes: good.sizeBytes, open });
    this.#kept.push(good);
    return true;
  }
}

/** Faults of the content itself: it is there and whole, but cannot be meant. */
const NOT_MEANT: ReadonlySet<SourceFault> = new Set<SourceFault>(['empty', 'not-a-playlist', 'not-a-guide']);

/** What speaks against a file, by its beginning. Disposes of `source`. */
async function faultOf(
  source: ByteSource,
  kind: 'playlist' | 'guide',
  signal: AbortSignal,
): Promise<SourceError | undefined> {
  return await inspectBeginning(source, kind, signal).then(() => undefined, asFault);
}

function asFault(error: unknown): SourceError {
  if (error instanceof SourceError) return error;
  throw error;
}

/** Pipes and devices are read once: nothing is known of them ahead. */
function openSpecial({ path, isPipe }: LocalFile, maxBytes: number, signal: AbortSignal): Promise<ByteSource> {
  return isPipe ? openPipe(path, { maxBytes, signal }) : openFile(path, { maxBytes });
}

async function nothingAt(sourceName: string, pattern: string, kind: 'playlist' | 'guide'): Promise<SourceError> {
  const found = await stat(pattern).catch(() => undefined);
  if (!found?.isDirectory()) return new SourceError(sourceName, `no file at ${pattern}`, { fault: 'missing' });
  const files = join(pattern, kind === 'playlist' ? '*.m3u' : '*.xml');
  return new SourceError(sourceName, `${pattern} is a folder: name a file in it, or a pattern such as ${files}`, {
    fault: 'unreadable',
  });
}

async function remember(lastGood: LastGood, fresh: readonly LocalFile[], kept: readonly GoodFile[]): Promise<void> {
  const files = [...kept];
  for (const { path, sizeBytes, modifiedMs } of fresh) {
    if (sizeBytes === undefined) continue;
    const good = lastGood.find(path);
    const copied = good === undefined ? undefined : lastGood.pathOf(good);
    if (
      good?.sizeBytes === sizeBytes &&
      good.modifiedMs === modifiedMs &&
      copied !== undefined &&
      (await sizeOf(copied)) === sizeBytes
    ) {
      files.push(good);
      continue;
    }
    // A file that was changed while it was read is not known to be good.
    const now = await stat(path).catch(() => undefined);
    if (now?.size !== sizeBytes || now.mtimeMs !== modifiedMs) continue;
    files.push({ name: path, sizeBytes, modifiedMs, copy: await lastGood.copyOf(path, sizeBytes), entryCount: 0 });
  }
  await lastGood.save(files);
}

async function findFiles(sourceName: string, pattern: string): Promise<LocalFile[]> {
  const literal = await describe(pattern);
  if (literal !== undefined) return [literal];
  if (!/[*?[\]{}]/.test(pattern)) return [];
  const paths = globSync(pattern).sort();
  if (paths.length > MAX_FILES)
    throw new SourceError(sourceName, `${pattern} fits ${paths.length} files, more than ${MAX_FILES}`, {
      fault: 'too-large',
    });
  const files: LocalFile[] = [];
  for (const path of paths) {
    const file = await describe(path);
    if (file !== undefined) files.push(file);
  }
  return files;
}

/** Undefined when there is nothing, or a folder, which only a pattern may fit. */
async function describe(path: string): Promise<LocalFile | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.isDirectory()) return undefined;
  return {
    path,
    sizeBytes: found.isFile() ? found.size : undefined,
    modifiedMs: found.mtimeMs,
    isPipe: found.isFIFO(),
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}
