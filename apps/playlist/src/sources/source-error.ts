import { PlimsollError } from 'plimsoll';

/**
 * Why a source failed:
 * - `missing`: no such file, or no file fits the pattern; `unreadable`: the system refuses to read it
 * - `truncated`, `damaged`: compressed content that ends early or is not what it says, or content that changed while it was read
 * - `too-large`: more than `max_size`; `unsupported`: a compression that is not read here
 * - `http`: the server answered with an error; `network`: no connection, cut off, timed out
 * - `cache`: a download cannot be stored
 * - `empty`, `not-a-playlist`, `not-a-guide`, `shrunk`: the content is there but cannot be meant
 */
export type SourceFault =
  | 'missing'
  | 'unreadable'
  | 'truncated'
  | 'damaged'
  | 'too-large'
  | 'unsupported'
  | 'http'
  | 'network'
  | 'cache'
  | 'empty'
  | 'not-a-playlist'
  | 'not-a-guide'
  | 'shrunk';

export interface SourceErrorDetails {
  readonly fault: SourceFault;
  /** Bytes of content (after decompression) that were given out before the fault. */
  readonly offsetBytes?: number;
  readonly cause?: unknown;
}

/** A source cannot be read (`PLIMSOLL_PLAYLIST_SOURCE`). The message is one line and holds no credential. */
export class SourceError extends PlimsollError {
  readonly fault: SourceFault;
  readonly offsetBytes: number | undefined;

  constructor(label: string, message: string, details: SourceErrorDetails) {
    super(`${label}: ${message}`, {
      code: 'PLIMSOLL_PLAYLIST_SOURCE',
      recovery: details.fault === 'network' || details.fault === 'http' ? 'retry' : 'fallback',
      cause: details.cause,
    });
    this.fault = details.fault;
    this.offsetBytes = details.offsetBytes;
  }
}
