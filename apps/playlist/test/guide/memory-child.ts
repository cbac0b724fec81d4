// Writes a made-up guide of argv[2] MiB, of which argv[3] percent are kept, in order or (argv[4] = 'unordered') not, and does nothing with it.
// Prints the rest of what happened as JSON. Its memory is read from outside.
import { tmpdir } from 'node:os';
import { indexGuides } from '../../src/guide/index-guides.ts';
import { WantedChannels } from '../../src/guide/wanted.ts';
import { writeGuide } from '../../src/guide/write-guide.ts';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { countingConsumer } from './counting-consumer.ts';

const CHANNELS = 500;
const totalBytes = Number(process.argv[2]) * 1024 * 1024;
const keptShare = Number(process.argv[3]) / 100;
const isUnordered = process.argv[4] === 'unordered';

const idOf = (number: number): string => `ch${String(number).padStart(3, '0')}`;
const head = Buffer.from(
  `<tv>${Array.from({ length: CHANNELS }, (_, i) => `\n  <channel id="${idOf(i)}"><display-name>Channel ${i}</display-name></channel>`).join('')}`,
);
const FOOT = Buffer.from('\n</tv>\n');
const DESCRIPTION = 'A made-up story that has no end. '.repeat(12);
const PROGRAMME = Buffer.from(
  `\n  <programme start="20200101000000 +0000" channel="ch000"><title>Show</title><desc>${DESCRIPTION}</desc></programme>`,
);
const START_AT = PROGRAMME.indexOf('2020');
const CHANNEL_AT = PROGRAMME.indexOf('ch000') + 2;

/** Writes a number in decimal digits, without any garbage. */
function putDigits(target: Buffer, at: number, digits: number, value: number): void {
  for (let i = digits - 1; i >= 0; i--) {
    target[at + i] = 0x30 + (value % 10);
    value = Math.floor(value / 10);
  }
}

/** The start of the nth half hour from 2020 on, in months of 28 days. */
function putStart(target: Buffer, at: number, number: number): void {
  const day = Math.floor(number / 48);
  putDigits(target, at, 4, 2020 + Math.floor(day / 336));
  putDigits(target, at + 4, 2, 1 + (Math.floor(day / 28) % 12));
  putDigits(target, at + 6, 2, 1 + (day % 28));
  putDigits(target, at + 8, 2, Math.floor(number / 2) % 24);
  putDigits(target, at + 10, 2, (number % 2) * 30);
}

/** The guide piece by piece, made again and again in one small buffer. */
function made(): ByteSource {
  const piece = Buffer.alloc(64 * 1024);
  let used = head.copy(piece);
  let at = 0;
  let sent = 0;
  let number = 0;
  const refill = (): void => {
    at = used = 0;
    while (used + 1024 < piece.length && sent + used < totalBytes) {
      const half = Math.floor(number / CHANNELS);
      PROGRAMME.copy(piece, used);
      putStart(piece, used + START_AT, isUnordered && number % 1000 === 999 ? half - 1 : half);
      putDigits(piece, used + CHANNEL_AT, 3, number++ % CHANNELS);
      used += PROGRAMME.length;
    }
    if (sent + used >= totalBytes && sent < totalBytes) used += FOOT.copy(piece, used);
  };
  return {
    label: 'made',
    sizeBytes: undefined,
    async read(target, offset, length) {
      if (at === used) refill();
      const count = Math.min(length, used - at);
      piece.copy(target, offset, at, at + count);
      at += count;
      sent += count;
      return count;
    },
    async [Symbol.asyncDispose]() {},
  };
}

const consumer = countingConsumer();
const wanted = new WantedChannels(consumer);
const record = Buffer.alloc(WantedChannels.RECORD_BYTES);
const none = { originalStart: -1, originalEnd: -1, nameStart: -1, nameEnd: -1, tvgNameStart: -1, tvgNameEnd: -1 };
for (let i = 0; i < CHANNELS * keptShare; i++) {
  const id = Buffer.from(idOf(i));
  wanted.want(id, { idStart: 0, idEnd: id.length, ...none }, record, 0);
}
const guides = [{ label: 'made', open: async () => made() }];
const index = await indexGuides(guides, wanted, consumer);
const sink = { write: (): void => {} };
const result = await writeGuide({ guides, wanted, index, sink, consumer, tempDir: tmpdir() });
process.stdout.write(`${JSON.stringify({ result, peakReserved: consumer.peakBytes })}\n`);
