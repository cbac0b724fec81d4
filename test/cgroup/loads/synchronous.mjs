/**
 * A long synchronous loop that allocates: records of growing size are gathered and written out together. No timer fires, no promise settles, so
 * only what happens inside a reservation can help. With the governor a group is written out when there is no more room; without it nobody says so, and it is
 * written out when it is complete.
 */
import { runLoad } from './load.mjs';

const SIZES = [12, 16, 24, 40, 96, 200].map((kib) => kib * 1024);
/** Bytes of one group, and of all, in limits. */
const GROUP = 1.5;
const WHOLE = 6;

class Group {
  written = 0;
  count = 0;
  #records = [];
  #bytes = 0;
  #held;

  constructor(room) {
    this.#held = room?.reserve(0);
  }

  add(bytes, most) {
    if (this.#bytes + bytes > most || this.#held?.tryGrow(bytes) === false) {
      this.write();
      this.#held?.grow(bytes);
    }
    this.#records.push(Buffer.allocUnsafeSlow(bytes).fill(1));
    this.#bytes += bytes;
  }

  write() {
    this.written += this.#records.filter((record) => record[record.length - 1] === 1).length;
    this.count++;
    this.#records = [];
    this.#bytes = 0;
    this.#held?.resize(0);
  }
}

await runLoad(async ({ limitBytes, governor }) => {
  const room = governor?.consumer({ name: 'records', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
  const group = new Group(room);
  const askedBytes = WHOLE * limitBytes;
  let asked = 0;
  for (let taken = 0; taken < askedBytes; asked++) {
    // One size for a while, then the next: what was freed is seldom of the size that is asked for.
    const bytes = SIZES[Math.floor((taken / askedBytes) * 3 * SIZES.length) % SIZES.length];
    group.add(bytes, limitBytes * GROUP);
    taken += bytes;
  }
  group.write();
  return { asked, done: group.written, groups: group.count };
});
