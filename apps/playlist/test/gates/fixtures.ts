/** Big inputs, made once and kept below `test/.tmp` (on disk: a tmpfs would be charged to the limit being tested). */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { generateM3u, type M3uCounts } from '../../src/sample/generate-m3u.ts';
import { generateXmltv, type XmltvCounts } from '../../src/sample/generate-xmltv.ts';

export const PROJECT_DIR = join(import.meta.dirname, '..', '..', '..', '..');
export const SCRATCH_DIR = join(PROJECT_DIR, 'test', '.tmp');
const FIXTURE_DIR = join(SCRATCH_DIR, 'fixtures');

/** Real playlists and guides that are not part of the project; `undefined` where they are absent. */
export function realDataDir(): string | undefined {
  const dir = join(PROJECT_DIR, '..', 'shared', 'data');
  return existsSync(dir) ? dir : undefined;
}

/** A fresh, empty folder below `test/.tmp`. */
export function freshDir(name: string): string {
  const dir = join(SCRATCH_DIR, name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** A playlist with that many channels left after duplicates and bad entries; about 245 bytes each. */
export function listFixture(channels: number): Promise<M3uCounts> {
  const path = fixturePath(`list-${channels}.m3u`);
  return kept(path) ?? generateM3u({ path, channels });
}

export interface GuideShape {
  /** `xml`, `xml.gz` or `xml.zst`. Default `xml`. */
  readonly ending?: string;
  /** Every nth programme stands twice. Default 0: none. */
  readonly repeatEvery?: number;
}

/** The guide of `listFixture(channels)`, two fifths of it wanted. */
export function guideFixture(bytes: number, channels: number, shape: GuideShape = {}): Promise<XmltvCounts> {
  const { ending = 'xml', repeatEvery = 0 } = shape;
  const path = fixturePath(
    `guide-${bytes}-of-${channels}${repeatEvery > 0 ? `-repeats-${repeatEvery}` : ''}.${ending}`,
  );
  return kept(path) ?? generateXmltv({ path, bytes, repeatEvery, playlist: { channels } });
}

/** Gives the disk back: for the biggest. */
export function dropFixture(counts: { readonly path: string }): void {
  rmSync(counts.path, { force: true });
  rmSync(`${counts.path}.expected.json`, { force: true });
}

function fixturePath(name: string): string {
  mkdirSync(FIXTURE_DIR, { recursive: true });
  return join(FIXTURE_DIR, name);
}

/** The counts are written last, so a fixture with counts is a whole one. */
function kept<T>(path: string): Promise<T> | undefined {
  const counts = `${path}.expected.json`;
  return existsSync(path) && existsSync(counts)
    ? Promise.resolve(JSON.parse(readFileSync(counts, 'utf8')) as T)
    : undefined;
}
