import type { ByteSource } from './byte-source.ts';

const CHUNK_BYTES = 64 * 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** What a text that should be JSON turns out to be. */
export class NotJsonError extends Error {}

/**
 * The objects that stand directly in a top-level JSON array, or as values in a top-level object, one at a time: `[{...}, {...}]`,
 * `{"1": {...}}`. Other values there are passed over. Memory is two buffers, whatever the length; an object above
 * `maxObjectBytes` and one that is not sound JSON are passed over and counted through `onBad`. A text that does not begin
 * as JSON, or ends early, throws `NotJsonError` (after what came before it was given). Disposes of `source`.
 */
export async function* jsonObjects(
  source: ByteSource,
  options: { readonly maxObjectBytes: number; readonly onBad?: () => void },
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  const { maxObjectBytes, onBad = () => {} } = options;
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const object = Buffer.allocUnsafeSlow(maxObjectBytes);
  await using input = source;
  let depth = 0;
  let length = 0;
  let inString = false;
  let escaped = false;
  let started = false;
  for (let count = 0; (count = await input.read(chunk, 0, CHUNK_BYTES)) > 0; ) {
    for (let at = 0; at < count; at++) {
      const byte = chunk[at]!;
      if (depth >= 2 && length < maxObjectBytes) object[length] = byte;
      if (depth >= 2) length++;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) {
        inString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        started = true;
        depth++;
        if (depth === 2) {
          object[0] = byte;
          length = 1;
        }
      } else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && depth > 0) {
        depth--;
        if (depth !== 1 || object[0] !== OPEN_BRACE) continue;
        const parsed = length > maxObjectBytes ? undefined : parse(object, length);
        if (parsed === undefined) onBad();
        else yield parsed;
      }
      if (!started && byte > 0x20 && byte !== 0xef && byte !== 0xbb && byte !== 0xbf)
        throw new NotJsonError('not JSON');
    }
  }
  if (!started || depth > 0) throw new NotJsonError('JSON that ends early');
}

function parse(bytes: Buffer, length: number): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(bytes.toString('utf8', 0, length)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
