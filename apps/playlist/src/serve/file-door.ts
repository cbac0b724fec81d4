/**
 * One published file, handed out over HTTP. The file is opened once for each request, so a reader gets the old or the new one whole, even
 * when it is replaced meanwhile. For maintainers: bodies bypass web streams and go straight to the socket, 64 KiB at a
 * time out of one buffer that is filled again only when the socket has taken it: that is all a slow reader costs.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type ByteRange, parseRange } from './byte-range.ts';
import { acceptsGzip, isNotModifiedSince, matchesAny, rangeIsCurrent } from './preconditions.ts';

const CHUNK_BYTES = 64 * 1024;
/** Fast levels already take text to a fifth; a whole one of 200 MB must not hold a core for half a minute. */
const GZIP_LEVEL = 3;

export interface FileDoorOptions {
  readonly path: string;
  readonly contentType: string;
}

/** Bounds what all doors do at once. */
export class ServeBounds {
  /** Responses with a body under way; further ones are answered 503. */
  readonly maxReaders: number;
  /** Of those, packed while they are sent; further ones are sent unpacked. */
  readonly maxPackers: number;
  readers = 0;
  packers = 0;

  constructor(maxReaders = 256, maxPackers = 4) {
    this.maxReaders = maxReaders;
    this.maxPackers = maxPackers;
  }
}

/** The request's headers that matter here, lower case. */
export type HeaderReader = (name: string) => string | undefined;

/** An answer without a body, or one whose body `send` writes to the socket. */
export interface FileAnswer {
  readonly status: 200 | 206 | 304 | 404 | 416 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** Resolves when all has been handed to the socket, or the reader has gone. */
  readonly send?: (outgoing: ServerResponse) => Promise<void>;
}

export class FileDoor {
  readonly #options: FileDoorOptions;
  readonly #bounds: ServeBounds;

  constructor(options: FileDoorOptions, bounds: ServeBounds) {
    this.#options = options;
    this.#bounds = bounds;
  }

  /**
   * Answers GET and HEAD: strong entity tags, `If-None-Match`, `If-Modified-Since`, one range with `If-Range` (of the plain content),
   * gzip where it is accepted. 404 while there is no file yet, 503 when too many readers are being served.
   */
  async answer(method: string, header: HeaderReader): Promise<FileAnswer> {
    let handle: FileHandle;
    try {
      handle = await open(this.#options.path, 'r');
    } catch {
      return { status: 404, headers: { 'cache-control': 'no-store' } };
    }
    try {
      const answer = await this.#describe(handle, method, header);
      if (answer.send === undefined) await handle.close();
      return answer;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #describe(handle: FileHandle, method: string, header: HeaderReader): Promise<FileAnswer> {
    const stat = await handle.stat({ bigint: true });
    const sizeBytes = Number(stat.size);
    const plainTag = `${stat.mtimeNs.toString(36)}-${stat.size.toString(36)}-${stat.ino.toString(36)}`;
    const range = parseRange(header('range'), sizeBytes);
    const head = method === 'HEAD';
    const packed =
      range === undefined && acceptsGzip(header('accept-encoding')) && this.#bounds.packers < this.#bounds.maxPackers;
    const etag = packed ? `"${plainTag}-gzip"` : `"${plainTag}"`;
    const lastModified = stat.mtime.toUTCString();
    const headers: Record<string, string> = {
      etag,
      'last-modified': lastModified,
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      'accept-ranges': 'bytes',
    };
    const ifNoneMatch = header('if-none-match');
    const known = matchesAny(ifNoneMatch, etag) || matchesAny(ifNoneMatch, `"${plainTag}"`);
    if (known || (ifNoneMatch === undefined && isNotModifiedSince(header('if-modified-since'), Number(stat.mtimeMs)))) {
      return { status: 304, headers };
    }
    headers['content-type'] = this.#options.contentType;
    if (packed) headers['content-encoding'] = 'gzip';
    // Ranges are for GET, and only of the very file the reader already has a part of.
    const part = !head && rangeIsCurrent(header('if-range'), etag, lastModified) ? range : undefined;
    if (part === 'unsatisfiable') {
      return { status: 416, headers: { 'content-range': `bytes */${sizeBytes}`, 'cache-control': 'no-cache' } };
    }
    const span: ByteRange = part ?? { first: 0, last: sizeBytes - 1 };
    if (part !== undefined) headers['content-range'] = `bytes ${part.first}-${part.last}/${sizeBytes}`;
    if (!packed) headers['content-length'] = String(span.last - span.first + 1);
    if (head) return { status: 200, headers };
    if (this.#bounds.readers >= this.#bounds.maxReaders) return { status: 503, headers: { 'retry-after': '10' } };
    const status = part === undefined ? 200 : 206;
    this.#bounds.readers++;
    if (packed) this.#bounds.packers++;
    return {
      status,
      headers,
      send: async (outgoing) => {
        try {
          outgoing.writeHead(status, headers);
          if (packed)
            await pipeline(chunksOf(handle, span), createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK_BYTES }), outgoing);
          else await sendPlain(handle, span, outgoing);
        } catch {
          // The reader has gone, or the file could not be read to its end: either way the connection is of no more use.
          outgoing.destroy();
        } finally {
          this.#bounds.readers--;
          if (packed) this.#bounds.packers--;
          await handle.close();
        }
      },
    };
  }
}

async function sendPlain(handle: FileHandle, { first, last }: ByteRange, outgoing: ServerResponse): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(CHUNK_BYTES, last - first + 1)));
  let wake: ((error?: Error) => void) | undefined;
  const onClose = () => wake?.(new Error('closed'));
  outgoing.on('close', onClose);
  for (let at = first; at <= last; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, last - at + 1), at);
    if (bytesRead === 0) throw new Error('the file ends early');
    at += bytesRead;
    await new Promise<void>((resolve, reject) => {
      if (outgoing.destroyed) return reject(new Error('closed'));
      wake = (error) => (error ? reject(error) : resolve());
      outgoing.write(buffer.subarray(0, bytesRead), (error) => wake?.(error ?? undefined));
    });
  }
  outgoing.off('close', onClose);
  outgoing.end();
}

/** For gzip: a fresh buffer each, because the stream holds on to what it was given. */
async function* chunksOf(handle: FileHandle, { first, last }: ByteRange): AsyncGenerator<Buffer> {
  for (let at = first; at <= last; ) {
    const { buffer, bytesRead } = await handle.read(
      Buffer.allocUnsafeSlow(CHUNK_BYTES),
      0,
      Math.min(CHUNK_BYTES, last - at + 1),
      at,
    );
    if (bytesRead === 0) throw new Error('the file ends early');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
