/** Accounts on Xtream servers: their addresses, and their list of live streams turned into a playlist. */
import { open } from 'node:fs/promises';
import type { Origin } from '../config/config.ts';
import { openFile } from './file-source.ts';
import { jsonObjects, NotJsonError } from './json-objects.ts';
import { SourceError } from './source-error.ts';

export type XtreamAccount = Extract<Origin, { kind: 'xtream' }>;

const MAX_OBJECT_BYTES = 64 * 1024;
const MAX_CATEGORIES = 20_000;
const MAX_NAME_LENGTH = 300;
const WRITE_BYTES = 64 * 1024;

function account({ user, password }: XtreamAccount): string {
  return `username=${encodeURIComponent(user)}&password=${encodeURIComponent(password)}`;
}

export const xtreamUrls = {
  categories: (one: XtreamAccount) => `${one.host}/player_api.php?${account(one)}&action=get_live_categories`,
  streams: (one: XtreamAccount) => `${one.host}/player_api.php?${account(one)}&action=get_live_streams`,
  playlist: (one: XtreamAccount) => `${one.host}/get.php?${account(one)}&type=m3u_plus&output=ts`,
  guide: (one: XtreamAccount) => `${one.host}/xmltv.php?${account(one)}`,
} as const;

export interface XtreamFiles {
  /** Downloaded answers; categories may be missing: then there are no groups. */
  readonly categoriesPath: string | undefined;
  readonly streamsPath: string;
  readonly playlistPath: string;
  readonly maxBytes: number;
  readonly label: string;
}

/**
 * Writes the playlist of an account's live streams, one object at a time: at most 64 KiB for one stream and 20,000 category names are held.
 * Streams without a usable id are left out. Throws `NotJsonError` when the server did not answer in JSON (then
 * `get.php` may help) and `SourceError` `http` when it refuses the account.
 */
export async function writeXtreamPlaylist(one: XtreamAccount, files: XtreamFiles): Promise<void> {
  const { maxBytes, label, playlistPath } = files;
  const groups =
    files.categoriesPath === undefined ? new Map<string, string>() : await readCategories(files.categoriesPath, files);
  await using out = await open(playlistPath, 'w', 0o600);
  const base = `${one.host}/live/${encodeURIComponent(one.user)}/${encodeURIComponent(one.password)}/`;
  const objects = jsonObjects(await openFile(files.streamsPath, { maxBytes, label }), {
    maxObjectBytes: MAX_OBJECT_BYTES,
  });
  const buffer = Buffer.allocUnsafeSlow(WRITE_BYTES + 16 * 1024);
  let used = buffer.write('#EXTM3U\n');
  for await (const stream of objects) {
    if ('auth' in stream && String(stream.auth) === '0') throw refused(label);
    const entry = entryOf(stream, base, groups);
    if (entry === undefined) continue;
    used += buffer.write(entry, used);
    if (used < WRITE_BYTES) continue;
    await out.writeFile(buffer.subarray(0, used));
    used = 0;
  }
  await out.writeFile(buffer.subarray(0, used));
  await out.sync();
}

function refused(label: string): SourceError {
  return new SourceError(label, 'the server refuses the account: check `user` and `password`', { fault: 'http' });
}

async function readCategories(path: string, { maxBytes, label }: XtreamFiles): Promise<Map<string, string>> {
  const groups = new Map<string, string>();
  const objects = jsonObjects(await openFile(path, { maxBytes, label }), { maxObjectBytes: MAX_OBJECT_BYTES });
  try {
    for await (const category of objects) {
      if ('auth' in category && String(category.auth) === '0') throw refused(label);
      const name = text(category.category_name);
      if (name !== '' && groups.size < MAX_CATEGORIES) groups.set(text(category.category_id), name);
    }
  } catch (error) {
    if (!(error instanceof NotJsonError)) throw error;
  }
  return groups;
}

function entryOf(
  stream: Readonly<Record<string, unknown>>,
  base: string,
  groups: ReadonlyMap<string, string>,
): string | undefined {
  const id = text(stream.stream_id);
  if (!/^[\w-]+$/.test(id)) return undefined;
  const name = text(stream.name);
  const group = groups.get(text(stream.category_id)) ?? '';
  const logo = text(stream.stream_icon, 2000);
  const number = text(stream.num);
  let line = `#EXTINF:-1 tvg-id="${quoted(text(stream.epg_channel_id))}" tvg-name="${quoted(name)}"`;
  if (logo !== '') line += ` tvg-logo="${quoted(logo)}"`;
  if (/^\d+(?:\.\d+)?$/.test(number)) line += ` tvg-chno="${number}"`;
  if (group !== '') line += ` group-title="${quoted(group)}"`;
  return `${line},${name === '' ? id : name}\n${base}${id}.ts\n`;
}

/** A string or a number as one line of text, cut to a sane length; '' for anything else. */
function text(value: unknown, maxLength = MAX_NAME_LENGTH): string {
  if (typeof value !== 'string' && typeof value !== 'number') return '';
  return String(value)
    .slice(0, maxLength)
    .replace(/[\0-\x1f\x7f\u2028\u2029]+/g, ' ')
    .trim()
    .toWellFormed();
}

function quoted(value: string): string {
  return value.replaceAll('"', "'");
}
