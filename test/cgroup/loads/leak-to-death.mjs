/**
 * A leak that nobody stops: buffers that are held for ever, until the kernel ends it. With `--governed` a governor looks on,
 * and writes a flight recording and a termination log once it has been at `emergency` for a second; without it is a program that knows of none, beside one that watches it. Plain JavaScript on the built package.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const MIB = 1_048_576;
const SESSION_BYTES = MIB / 4;
const TICK_MS = 20;
/** Up to there it fills quickly, then slowly: a share of the limit a second. */
const NEAR = 0.9;
const SLOWLY = 0.02;
const QUICKLY = 0.15;

const { values } = parseArgs({
  options: { 'limit-mib': { type: 'string' }, folder: { type: 'string' }, governed: { type: 'boolean' } },
});
const limitBytes = Number(values['limit-mib']) * MIB;
const sessions = [];
const { keep, isNear } = values.governed ? await openBooks() : { keep: () => make(), isNear: () => false };
let due = 0;
setInterval(() => {
  due += ((isNear() ? SLOWLY : QUICKLY) * limitBytes * TICK_MS) / 1_000;
  for (; due >= SESSION_BYTES; due -= SESSION_BYTES) sessions.push(keep());
}, TICK_MS);

function make() {
  return Buffer.alloc(SESSION_BYTES, 1);
}

async function openBooks() {
  const { createGovernor } = await import('plimsoll');
  const { folder } = values;
  const governor = createGovernor({
    mode: 'observe',
    flightRecorder: { folder },
    terminationLog: join(folder, 'termination.log'),
  });
  const consumer = governor.consumer({ name: 'sessions', kind: 'external', maxBytes: limitBytes });
  return {
    keep: () => ({ held: consumer.reserve(SESSION_BYTES), body: make() }),
    isNear() {
      const charged = governor.snapshot().meters.find(({ name }) => name === 'cgroup');
      return charged !== undefined && charged.ratio >= NEAR;
    },
  };
}
