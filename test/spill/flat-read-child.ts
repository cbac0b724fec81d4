/** `flat-read-child.ts FOLDER CODEC MEBIBYTES`: writes a segment of so much, reads it back, and prints by how much the process's peak memory grew meanwhile. */
import { type SpillCodec, SpillFolder } from 'plimsoll/spill';

const [, , dir = '', codec = 'none', mebibytes = '1'] = process.argv;
const BATCH_BYTES = 262_144;
const count = Number(mebibytes) * 4;
const batch = Buffer.alloc(BATCH_BYTES, 'http://example.com/live/0123456789abcdef/');
await using folder = await SpillFolder.open(dir, { maxBytes: 2 ** 31, allowMemoryBacked: true });
await using run = folder.openRun({ name: 'flat', maxBytes: 2 ** 30, codec: codec as SpillCodec });
// Code and buffers of both ways are there before it counts.
await pass(8);
const before = process.resourceUsage().maxRSS;
const segment = await pass(count);
const growth = (process.resourceUsage().maxRSS - before) * 1_024;
console.log(JSON.stringify({ growth, rawBytes: segment.rawBytes, readBytes: segment.readBytes() }));

async function pass(batches: number) {
  await using writer = await run.create();
  for (let i = 0; i < batches; i++) {
    // Something that does not compress in each, at another place.
    for (let at = (i * 977) % 1_000; at < BATCH_BYTES - 4; at += 1_000)
      batch.writeUInt32LE(Math.imul(i + at, 2_654_435_761) >>> 0, at);
    await writer.write(batch);
  }
  const written = await writer.finish();
  let i = 0;
  for await (const found of written.read()) {
    const at = (i * 977) % 1_000;
    if (found.byteLength !== BATCH_BYTES || found.readUInt32LE(at) !== Math.imul(i + at, 2_654_435_761) >>> 0)
      throw new Error(`batch ${i}`);
    i++;
  }
  if (i !== batches) throw new Error(`${i} batches`);
  return written;
}
