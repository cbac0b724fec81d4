import type { Reclaimer, ReclaimRequest } from '../governor/index.ts';
import type { CleanupLine } from './cleanup-line.ts';
import { IDLE, NONE, type ResourceId } from './resource-slots.ts';

/** How long it may look for what can be given back at once, and how long the disposers may take besides, ms. */
const MOST_MS = 4;
const LOOK_AT_CLOCK_EVERY = 64;

/** Gives back what is idle, used longest ago first: at once those whose disposers do not wait, with waiting all of them. */
export function registryReclaimer(line: CleanupLine): Reclaimer {
  return {
    reclaimableBytes: () => line.slots.bytesIn(IDLE),
    reclaimNow: ({ targetBytes }) => reclaimNow(line, targetBytes),
    reclaim: (request, { signal }) => reclaim(line, request, signal),
  };
}

function reclaimNow({ slots, clock, queue, reasons }: CleanupLine, targetBytes: number): number {
  const startedAt = clock.now();
  const before = slots.bytes;
  const victims: ResourceId[] = [];
  let found = 0;
  let seen = 0;
  for (let slot = slots.oldestHeavy; slot !== NONE && found < targetBytes; slot = slots.nextOf(slot)) {
    if (++seen % LOOK_AT_CLOCK_EVERY === 0 && clock.now() - startedAt > MOST_MS) break;
    if (!slots.isSync(slot) || slots.bytesOf(slot) === 0) continue;
    found += slots.bytesOf(slot);
    victims.push(slots.idOf(slot));
  }
  for (const id of victims) {
    // The disposers before may have taken it.
    const slot = slots.slotOf(id);
    if (slot === NONE || slots.whereIs(slot) !== IDLE) continue;
    reasons.reclaimed++;
    queue.start(slot);
    if (clock.now() - startedAt > 2 * MOST_MS) break;
  }
  return Math.max(0, before - slots.bytes);
}

async function reclaim(line: CleanupLine, { targetBytes }: ReclaimRequest, signal: AbortSignal): Promise<number> {
  const before = line.slots.bytes;
  const cleaned = line.cleanUp(line.longestUnused(0, targetBytes), 'reclaimed');
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    if (signal.aborted) resolve();
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([cleaned, aborted]);
  signal.removeEventListener('abort', stop);
  return Math.max(0, before - line.slots.bytes);
}
