// `spill-segments.mjs FOLDER CODEC BATCH_BYTES TOTAL_BYTES`: writes a segment, reads it back, and says what each took. CODEC `cp` copies a file of the same bytes instead.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SpillFolder } from 'plimsoll/spill';

const [folder, codec, batchBytes, totalBytes] = [process.argv[2], process.argv[3], +process.argv[4], +process.argv[5]];
const SOURCE_BYTES = 16 * 2 ** 20;

/** Channels of a playlist, as text: ids and tokens by chance, the rest repeats. */
function makeSource() {
  let seed = 88_172_645;
  const draw = (below) => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) % below;
  };
  const parts = [];
  for (let bytes = 0, i = 0; bytes < SOURCE_BYTES + 1_000; i++) {
    const token = createHash('md5')
      .update(String(draw(1e9)))
      .digest('hex');
    const line = `#EXTINF:-1 tvg-id="ch${draw(90_000)}.tv" tvg-logo="http://logo.example.com/${token}.png" group-title="Group ${draw(400)}",Channel ${i} HD\nhttp://host${draw(90)}.example.com:8080/live/${token}/${draw(1e6)}.ts\n`;
    parts.push(line);
    bytes += line.length;
  }
  return Buffer.from(parts.join('')).subarray(0, SOURCE_BYTES);
}

const source = makeSource();
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};
const timed = async (work) => {
  const cpu = cpuMs();
  const start = performance.now();
  const result = await work();
  return { ms: performance.now() - start, cpuMs: cpuMs() - cpu, result };
};

async function copy() {
  const [from, to] = ['from', 'to'].map((name) => join(folder, name));
  writeFileSync(from, '');
  for (let at = 0; at < totalBytes; at += SOURCE_BYTES) writeFileSync(from, source, { flag: 'a' });
  execFileSync('sync', ['-f', folder]);
  const write = await timed(() => execFileSync('cp', [from, to]));
  const read = await timed(() => execFileSync('cat', [to], { stdio: ['ignore', 'ignore', 'inherit'] }));
  const diskBytes = statSync(to).size;
  return { writeMs: write.ms, readMs: read.ms, writeCpuMs: 0, readCpuMs: 0, diskBytes };
}

async function spill() {
  await using spillFolder = await SpillFolder.open(folder, { maxBytes: 2 ** 31, allowMemoryBacked: true });
  await using run = spillFolder.openRun({ name: 'bench', maxBytes: 2 ** 30, codec });
  const write = await timed(async () => {
    await using writer = await run.create();
    for (let at = 0; at < totalBytes; at += batchBytes) {
      const from = at % SOURCE_BYTES;
      await writer.write(source.subarray(from, from + batchBytes));
    }
    return writer.finish();
  });
  const segment = write.result;
  let bytes = 0;
  const read = await timed(async () => {
    for await (const batch of segment.read()) bytes += batch.byteLength;
  });
  if (bytes !== totalBytes) throw new Error(`${bytes} bytes came back`);
  const { diskBytes } = segment;
  return { writeMs: write.ms, readMs: read.ms, writeCpuMs: write.cpuMs, readCpuMs: read.cpuMs, diskBytes };
}

mkdirSync(folder, { recursive: true });
// What making the source has left behind is nobody's cost.
globalThis.gc();
const figures = codec === 'cp' ? await copy() : await spill();
rmSync(folder, { recursive: true, force: true });
console.log(JSON.stringify(figures));
