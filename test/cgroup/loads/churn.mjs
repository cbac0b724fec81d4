/**
 * Heap churn: result sets of a database are read, kept for a while and dropped, oldest first, beside buffers that are held. V8 lets its heap grow up
 * to 259 MiB, whatever else must fit; with flags derived from the limit it collects instead.
 */
import { MIB, runLoad, turn } from './load.mjs';

/** Bytes read in all. */
const WHOLE = 1_000 * MIB;
const LEAST_ROUNDS = 8;
/** Live at a time, in limits, standing records included. */
const LIVE = 0.2;
const LIVE_LESS_BYTES = 6 * MIB;
const ROWS = 2_000;
/** An object of four fields (56), a number that is not whole (16), an array (32) of one (16 + 8), and its slot in the result set (8). */
const SET_BYTES = ROWS * 136;
/** The flags keep more for Node than it takes: some of that is used too. */
const UNUSED_BYTES = 4 * MIB;
/** In the smallest limit too, where they leave nothing for it by name. */
const LEAST_BESIDE_BYTES = 10 * MIB;

function readSet() {
  const rows = [];
  for (let id = 0; id < ROWS; id++) rows.push({ id, value: id + 0.5, note: null, tags: [id] });
  return rows;
}

await runLoad(async ({ limitBytes, nativeBytes, standing, governor }) => {
  const window = Math.floor((limitBytes * LIVE - LIVE_LESS_BYTES - standing.heapBytes) / SET_BYTES);
  const besideBytes = Math.max(LEAST_BESIDE_BYTES, nativeBytes - standing.nativeBytes + UNUSED_BYTES);
  const reserve = (name, kind, bytes) => governor?.consumer({ name, kind, maxBytes: bytes }).reserve(bytes);
  const reservations = [reserve('result sets', 'heap', window * SET_BYTES), reserve('beside', 'external', besideBytes)];
  const beside = Buffer.alloc(besideBytes, 1);
  const sets = new Array(window).fill(undefined);
  const asked = Math.max(LEAST_ROUNDS * window, Math.floor(WHOLE / SET_BYTES));
  let done = 0;
  for (let i = 0; i < asked; i++) {
    sets[i % window] = readSet();
    done += sets[i % window].length === ROWS ? 1 : 0;
    if (i % 8 === 0) await turn();
  }
  return { asked, done, keep: () => [reservations, beside, sets] };
});
