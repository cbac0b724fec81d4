// 300 MiB of buffers of 16 KiB; one in 64 is kept, the rest is dropped and collected. Prints a word at each stage and stands still there: RSS is read
// from outside. `--give-back`: the governor is asked instead of the collector alone.
import { setTimeout as wait } from 'node:timers/promises';

const PIECE_BYTES = 16 * 1024;
const COUNT = (300 * 1024 * 1024) / PIECE_BYTES;
const STILL_MS = 300;

const stage = async (name, stillMs = STILL_MS) => {
  await wait(stillMs);
  console.log(name);
  await wait(STILL_MS);
};

let giveBack = async () => {
  // What a collection frees is swept beside the program: the second one waits for that.
  gc();
  await wait(STILL_MS);
  gc();
};
if (process.argv.includes('--give-back')) {
  const { createGovernor } = await import('plimsoll');
  const governor = createGovernor({ mode: 'on' });
  giveBack = () => governor.reclaim({ strategy: 'aggressive' });
}

await stage('started');
let pieces = Array.from({ length: COUNT }, (_, i) => Buffer.allocUnsafeSlow(PIECE_BYTES).fill(i));
await stage('full');
pieces = pieces.filter((_, i) => i % 64 === 0);
await giveBack();
await stage('dropped');
await stage('2 s', 2_000);
await stage('12 s', 10_000);
if (pieces.some((piece, i) => piece[0] !== ((i * 64) & 255))) throw new Error('a piece is not what it was');
