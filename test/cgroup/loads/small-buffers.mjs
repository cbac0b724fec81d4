/**
 * Small buffers: pieces of 16 KiB come in, are joined into blocks of 1 MiB and dropped, again and again. The C library keeps dropped pieces for the
 * next of their size, and what is kept of some of them (one in 64, a header) stands between the others: the blocks find no room there.
 */
import { MIB, runLoad, turn } from './load.mjs';

const PIECE_BYTES = 16 * 1024;
const PIECES_A_BLOCK = MIB / PIECE_BYTES;
const CYCLES = 4;
const SHARE = 0.62;

await runLoad(async ({ roomBytes, governor }) => {
  const blocks = Math.floor((roomBytes * SHARE) / MIB);
  const room = governor?.consumer({ name: 'pieces', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
  const asked = CYCLES * blocks;
  let done = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const headers = await receive(blocks, room);
    done += await send(blocks, headers, room);
  }
  return { asked, done };
});

/** Takes in all the pieces, and keeps of them one in 64. */
async function receive(blocks, room) {
  const pieces = [];
  using _held = await room?.admit(blocks * MIB);
  for (let i = 0; i < blocks * PIECES_A_BLOCK; i++) {
    pieces.push(Buffer.allocUnsafeSlow(PIECE_BYTES).fill(1));
    if (i % PIECES_A_BLOCK === 0) await turn();
  }
  return pieces.filter((_, i) => i % PIECES_A_BLOCK === 0);
}

/** Holds blocks until all are there, as for one answer. */
async function send(count, headers, room) {
  using _head = room?.reserve(headers.length * PIECE_BYTES);
  const blocks = [];
  const held = [];
  for (let i = 0; i < count; i++) {
    held.push(await room?.admit(MIB));
    blocks.push(Buffer.allocUnsafeSlow(MIB).fill(headers[i][0]));
    await turn();
  }
  for (const reservation of held) reservation?.[Symbol.dispose]();
  return blocks.filter((block) => block[MIB - 1] === 1).length;
}
