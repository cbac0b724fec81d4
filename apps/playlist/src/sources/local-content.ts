import { globSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { formatBytes } from 'plimsoll';
import type { FetchLimits } from '../config/config.ts';
import { openFile } from './file-source.ts';
import { type GoodFile, LastGood } from './last-good.ts';
import { type SourceContent, type SourceContext, type SourcePart, sourceLabel } from './source-content.ts';
import { SourceError } from './source-error.ts';

/** A pattern may fit this many files. */
const MAX_FILES = 10_000;

interface LocalFile {
  readonly path: string;
  /** Undefined for pipes and devices: they are read once and nothing is remembered of them. */
  readonly sizeBytes: number | undefined;
  readonly modifiedMs: number;
}

/**
 * The files a path or pattern fits, in order of their names. A file that is empty, gone or sharply smaller than it was when it
 * was last read without fault is replaced by the copy taken then, if there is one, with a warning; a file that is
 * merely no longer fitted by a pattern that still fits others counts as taken away on purpose.
 */
export async function openLocal(
  config: FetchLimits & { readonly name: string },
  kind: 'playlist' | 'guide',
  pattern: string,
  context: SourceContext,
): Promise<SourceContent> {
  const { name, maxBytes } = config;
  const sourceName = sourceLabel(kind, name);
  const lastGood = new LastGood(context.cacheDir, `path\0${kind}\0${pattern}`);
  const found = await findFiles(sourceName, pattern);
  const parts: SourcePart[] = [];
  const fresh: LocalFile[] = [];
  const kept: GoodFile[] = [];
  const part = (label: string, path: string, sizeBytes: number | undefined): SourcePart => ({
    label,
    url: label,
    sizeBytes,
    open: () => openFile(path, { maxBytes, label }),
  });
  const standIn = async (good: GoodFile | undefined, why: string): Promise<boolean> => {
    const copy = good === undefined ? undefined : lastGood.pathOf(good);
    const sizeBytes = copy === undefined ? undefined : await sizeOf(copy);
    if (good === undefined || copy === undefined || sizeBytes !== good.sizeBytes) return false;
    context.warn(
      `${sourceName}: ${good.name} ${why}: its last good content is used. To accept it as it is, delete ${lastGood.stateFile}`,
    );
    parts.push(part(good.name, copy, sizeBytes));
    kept.push(good);
    return true;
  };
  for (const file of found) {
    const good = lastGood.find(file.path);
    const size = file.sizeBytes ?? Number.POSITIVE_INFINITY;
    if (size === 0) {
      if (await standIn(good, 'is empty')) continue;
      context.warn(`${sourceName}: ${file.path} is empty`);
      continue;
    }
    if (good !== undefined && size < good.sizeBytes * context.shrinkLimit) {
      const why = `has shrunk from ${formatBytes(good.sizeBytes)} to ${formatBytes(size)}`;
      if (await standIn(good, why)) continue;
      context.warn(`${sourceName}: ${file.path} ${why}`);
    }
    parts.push(part(file.path, file.path, file.sizeBytes));
    fresh.push(file);
  }
  if (found.length === 0) for (const good of lastGood.files) await standIn(good, 'is gone');
  if (parts.length === 0) {
    if (found.length > 0) throw new SourceError(sourceName, `${pattern} is empty`, { fault: 'empty' });
    throw new SourceError(sourceName, `no file at ${pattern}`, { fault: 'missing' });
  }
  return {
    name,
    type: 'm3u',
    parts,
    stale: kept.length > 0,
    keep: async () => {
      if (!context.dryRun) await remember(lastGood, fresh, kept);
    },
    [Symbol.asyncDispose]: async () => {},
  };
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
  return { path, sizeBytes: found.isFile() ? found.size : undefined, modifiedMs: found.mtimeMs };
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}
