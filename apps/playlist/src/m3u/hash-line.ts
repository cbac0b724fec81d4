import { skipWhite, startsWithWord } from './ascii.ts';

const EXTM3U = Buffer.from('#extm3u');
const EXTGRP = Buffer.from('#extgrp:');
const HLS_TAGS = ['#ext-x-targetduration', '#ext-x-media-sequence', '#ext-x-stream-inf'].map((tag) => Buffer.from(tag));

/** Length of `#EXTM3U`. */
export const HEADER_TAG_BYTES = EXTM3U.length;

/** Whether a line, from its `#` on, is a header: `#EXTM3U`, `#EXTM3U8`, `#extm3u url-tvg=...`. */
export function isHeaderLine(bytes: Uint8Array, start: number, end: number): boolean {
  return startsWithWord(bytes, start, end, EXTM3U);
}

/** Where the value of an `#EXTGRP:` line begins, -1 when the line is no such line. */
export function extgrpValue(bytes: Uint8Array, start: number, end: number): number {
  return startsWithWord(bytes, start, end, EXTGRP) ? skipWhite(bytes, start + EXTGRP.length, end) : -1;
}

/** Whether a line is one of the tags that every HLS media or master playlist has, and no list of channels. */
export function isHlsTag(bytes: Uint8Array, start: number, end: number): boolean {
  for (const tag of HLS_TAGS) if (startsWithWord(bytes, start, end, tag)) return true;
  return false;
}
