const MOST = 200;
/** V8 makes no slices of fewer characters: such a text is its own already. */
const LEAST_SLICE = 13;

/**
 * The first 200 characters of a text that somebody else wrote, as a copy: V8 keeps the whole of a text alive for a slice of it, and a message may be cut out of
 * megabytes. 0.3 to 1 µs, next to nothing below 13 characters.
 */
export function shortText(text: string): string {
  return text.length < LEAST_SLICE ? text : Buffer.from(text.slice(0, MOST), 'utf16le').toString('utf16le');
}
