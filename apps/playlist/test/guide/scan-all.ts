import { Children } from '../../src/guide/children.ts';
import { GuideScanner, type ScannerOptions, Token } from '../../src/guide/scanner.ts';
import { countingConsumer } from './counting-consumer.ts';
import { memorySource } from './memory-source.ts';

export interface Scanned {
  /** Each element with the white space before it. */
  readonly elements: readonly string[];
  /** `kind@offset`. */
  readonly damage: readonly string[];
  readonly offsets: readonly number[];
}

/** Scans a whole guide that is read in the given pieces. */
export async function scanAll(
  guide: string | Buffer,
  pieces: readonly number[] = [65536],
  options: Partial<ScannerOptions> = {},
): Promise<Scanned> {
  const elements: string[] = [];
  const damage: string[] = [];
  const offsets: number[] = [];
  const consumer = countingConsumer();
  const bytes = Buffer.from(guide as string);
  {
    using scanner = new GuideScanner(consumer, {
      bufferBytes: 64,
      ...options,
      onDamage: (kind, offset) => {
        damage.push(`${kind}@${offset}`);
        if (damage.length > bytes.length + 1) throw new Error('more damage than bytes');
      },
    });
    const source = memorySource(bytes, pieces);
    const children = new Children();
    for (let steps = 0; ; steps++) {
      if (steps > 4 * bytes.length + 100) throw new Error('the scanner does not come to an end');
      const token = scanner.next();
      if (token === Token.end) break;
      if (token === Token.more) {
        await scanner.refill(source);
        continue;
      }
      const text = scanner.buffer.toString('utf8', scanner.lead, scanner.end);
      elements.push(text);
      offsets.push(scanner.offsetOf(scanner.start));
      const original = bytes.toString('utf8', scanner.offsetOf(scanner.lead), scanner.offsetOf(scanner.end));
      if (original !== text) throw new Error(`not what stands there: ${text} / ${original}`);
      if (!scanner.wanted) continue;
      children.begin(scanner.buffer, scanner.tagEnd, scanner.contentEnd);
      while (children.next()) if (children.end > scanner.contentEnd) throw new Error('a child ends outside');
    }
  }
  if (consumer.heldBytes !== 0) throw new Error('the scanner keeps memory');
  return { elements, damage, offsets };
}
