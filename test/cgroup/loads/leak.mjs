/**
 * A leak: sessions that nobody ends, a quarter of their bytes objects, the rest buffers, in no ledger. It begins at 70% of the limit and takes 4% of it
 * a second. Nothing can save it; with the governor it dies by itself, soon, and says what it held.
 */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { MIB, runLoad } from './load.mjs';

const KIB = 1024;
const START = 0.7;
const SHARE_A_SECOND = 0.04;
const TICK_MS = 10;
const SESSION_BYTES = 64 * KIB;
/** What Node and the standing holdings are charged. */
const NODE_BYTES = 20 * MIB;

const options = (folder) => ({
  dieFast: { afterMs: 600 },
  flightRecorder: { folder },
  terminationLog: join(folder, 'termination.log'),
});

await runLoad(async ({ limitBytes, roomBytes }) => {
  const sessions = [];
  const startBytes = limitBytes * START - NODE_BYTES - roomBytes * 0.24;
  const startedAt = performance.now();
  for (;;) {
    const seconds = (performance.now() - startedAt) / 1000;
    const due = (startBytes + seconds * SHARE_A_SECOND * limitBytes) / SESSION_BYTES;
    while (sessions.length < due) sessions.push(session(sessions.length));
    await wait(TICK_MS);
  }
}, options);

/** 48 KiB of buffer and 16 KiB of numbers. */
function session(id) {
  return { id, body: Buffer.alloc(48 * KIB, 1), events: new Array(2 * KIB).fill(id + 0.5) };
}
