import { openFile } from './file-source.ts';
import { SourceError } from './source-error.ts';
import { utf8Source } from './text-source.ts';

const CHUNK_BYTES = 128 * 1024;
const HEAD_CHARACTERS = 2048;
const MARKS = { playlist: Buffer.from('#EXTINF'), guide: Buffer.from('<programme') } as const;

export interface Inspected {
  /** Channels or programmes, counted by their opening words. */
  readonly entryCount: number;
  /** After decompression, as UTF-8. */
  readonly contentBytes: number;
}

/**
 * Reads a downloaded file once through, to know before it replaces the last good one that it is whole and what it should be. Counts
 * entries at the speed of a byte search (about 1 GB/s plain); holds 128 KiB. Errors: `SourceError` with `empty`,
 * `not-a-playlist`, `not-a-guide`, `truncated`, `damaged`, `too-large`.
 */
export async function inspectContent(
  path: string,
  kind: 'playlist' | 'guide',
  maxBytes: number,
  label: string,
): Promise<Inspected> {
  const mark = MARKS[kind];
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES + mark.length);
  const raw = await openFile(path, { maxBytes, label });
  await using source = kind === 'playlist' ? utf8Source(raw) : raw;
  let head = '';
  let entryCount = 0;
  let contentBytes = 0;
  let carried = 0;
  for (;;) {
    const count = await source.read(buffer, carried, CHUNK_BYTES);
    if (count === 0) break;
    const end = carried + count;
    if (head.length < HEAD_CHARACTERS)
      head += buffer.toString('latin1', carried, Math.min(end, carried + HEAD_CHARACTERS));
    contentBytes += count;
    let after = 0;
    const view = buffer.subarray(0, end);
    for (let at = view.indexOf(mark); at >= 0; at = view.indexOf(mark, after)) {
      entryCount++;
      after = at + mark.length;
    }
    // A mark may be cut in two; one that was counted is not carried along.
    carried = Math.min(mark.length - 1, end - after);
    buffer.copyWithin(0, end - carried, end);
  }
  judge(kind, head, entryCount, contentBytes, label);
  return { entryCount, contentBytes };
}

function judge(
  kind: 'playlist' | 'guide',
  head: string,
  entryCount: number,
  contentBytes: number,
  label: string,
): void {
  const start = head.replace(/^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*/, '').toLowerCase();
  if (contentBytes === 0 || start === '') throw new SourceError(label, 'is empty', { fault: 'empty' });
  const fault = kind === 'playlist' ? 'not-a-playlist' : 'not-a-guide';
  const wanted = kind === 'playlist' ? 'a playlist' : 'a guide';
  const html = /^(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)\b/s.test(start);
  if (html) throw new SourceError(label, `the server answers with a web page instead of ${wanted}`, { fault });
  if (entryCount > 0) return;
  // UTF-16 guides and lists in lower case are left to those who read them: here it only matters that it is the right kind.
  const plain = start.replaceAll('\0', '');
  const right = kind === 'playlist' ? /^#extm3u|#extinf/.test(plain) : /<tv[\s>]/.test(plain) || start !== plain;
  if (!right) throw new SourceError(label, `is not ${wanted}`, { fault });
  if (kind === 'playlist' ? !plain.includes('#extinf') : start === plain)
    throw new SourceError(label, kind === 'playlist' ? 'has no channels' : 'has no programmes', { fault: 'empty' });
}
