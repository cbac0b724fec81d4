import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateM3u, type M3uCounts } from './generate-m3u.ts';
import { generateXmltv, type XmltvCounts } from './generate-xmltv.ts';

/** To be raised when the generators write other bytes for the same options. */
const GENERATOR_VERSION = 1;

const FIRST_LIST = {
  file: 'city.m3u',
  seed: 11,
  channels: 28_000,
  duplicates: 620,
  bad: 41,
  unwantedGroup: 930,
  unwantedUrl: 415,
} as const;
const SECOND_LIST = {
  file: 'islands.m3u.gz',
  seed: 12,
  channels: 11_161,
  duplicates: 187,
  bad: 19,
  unwantedGroup: 244,
  unwantedUrl: 158,
} as const;
const GUIDE = { file: 'guide.xml', seed: 13, bytes: 120_000_000 } as const;
const MANIFEST = 'manifest.json';
const WORKSHOP = 'new-';
const RECIPE = { version: GENERATOR_VERSION, lists: [FIRST_LIST, SECOND_LIST], guide: GUIDE };

/** Channels in the sample's playlist once repeats, bad entries and the two filters have taken theirs: the reference size. */
export const SAMPLE_CHANNELS = FIRST_LIST.channels + SECOND_LIST.channels;

export interface SampleProgress {
  /** File being written. */
  readonly file: string;
  /** Of the whole sample, 0 to 1. */
  readonly fraction: number;
}

export interface Sample {
  readonly configPath: string;
  /** False when the files of an earlier run were good. */
  readonly generated: boolean;
  readonly lists: readonly M3uCounts[];
  readonly guide: XmltvCounts;
}

interface Manifest {
  readonly recipe: typeof RECIPE;
  readonly files: readonly { readonly file: string; readonly sizeBytes: number }[];
  readonly lists: readonly M3uCounts[];
  readonly guide: XmltvCounts;
}

/** The folder of the bundled sample: `playlist.toml`, and `.generated/` with what it reads. The same from `src/` and from `dist/`. */
export const SAMPLE_DIR = join(import.meta.dirname, '..', '..', 'sample');

/**
 * Sees to it that the sources of the bundled sample configuration are there: 130 MB on disk, about a second. Files that a manifest
 * vouches for, by size, stay; anything else, such as what an interrupted run left, is written anew. Two processes may do so at once.
 */
export async function ensureSample(onProgress?: (progress: SampleProgress) => void, dir = SAMPLE_DIR): Promise<Sample> {
  const configPath = join(SAMPLE_DIR, 'playlist.toml');
  const folder = join(dir, '.generated');
  const known = await readManifest(folder);
  if (known !== undefined) return { configPath, generated: false, lists: known.lists, guide: known.guide };

  await removeLeftovers(folder);
  const workshop = join(folder, `${WORKSHOP}${process.pid}`);
  await mkdir(workshop, { recursive: true });
  try {
    const manifest = await generate(folder, workshop, onProgress);
    await writeFile(join(workshop, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    // Another process may be doing the same: it has the same bytes. The manifest comes last, for it vouches for the rest.
    for (const { file } of manifest.files) await rename(join(workshop, file), join(folder, file));
    await rename(join(workshop, MANIFEST), join(folder, MANIFEST));
    onProgress?.({ file: GUIDE.file, fraction: 1 });
    return { configPath, generated: true, lists: manifest.lists, guide: manifest.guide };
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

async function generate(
  folder: string,
  workshop: string,
  onProgress?: (progress: SampleProgress) => void,
): Promise<Manifest> {
  const lists: M3uCounts[] = [];
  let done = 0;
  for (const { file, ...options } of RECIPE.lists) {
    const share = options.channels / SAMPLE_CHANNELS / 10;
    const from = done;
    onProgress?.({ file, fraction: from });
    const counts = await generateM3u({
      ...options,
      path: join(workshop, file),
      onProgress: (fraction) => onProgress?.({ file, fraction: from + fraction * share }),
    });
    lists.push({ ...counts, path: join(folder, file) });
    done += share;
  }
  const counts = await generateXmltv({
    path: join(workshop, GUIDE.file),
    seed: GUIDE.seed,
    bytes: GUIDE.bytes,
    playlist: FIRST_LIST,
    onProgress: (fraction) => onProgress?.({ file: GUIDE.file, fraction: done + fraction * (1 - done) }),
  });
  const files = [];
  for (const { file } of [...RECIPE.lists, GUIDE])
    files.push({ file, sizeBytes: (await stat(join(workshop, file))).size });
  return { recipe: RECIPE, files, lists, guide: { ...counts, path: join(folder, GUIDE.file) } };
}

/** Folders of processes that were killed while they generated. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.startsWith(WORKSHOP) && !isAlive(Number(name.slice(WORKSHOP.length)))) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function readManifest(folder: string): Promise<Manifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as Manifest;
    if (JSON.stringify(manifest.recipe) !== JSON.stringify(RECIPE)) return undefined;
    for (const { file, sizeBytes } of manifest.files)
      if ((await stat(join(folder, file))).size !== sizeBytes) return undefined;
    return manifest;
  } catch {
    // Absent or cut short: either way it vouches for nothing.
    return undefined;
  }
}
