/** The characters that hold memory, as reclaimers. */
import type { Reclaimer, ReclaimRequest } from 'plimsoll';
import type { Actor } from './actor.ts';
import type { World } from './world.ts';

/**
 * `none` cannot give back. `boastful` claims all and releases nothing; `modest` says it has nothing and releases much; `nonsense` returns
 * what is no number; `hanging` never settles; `late` gives back after everybody stopped waiting; `slow` takes its time; `greedy` and
 * `reserving` take for themselves or for others while giving back; `meddling` does anything at all.
 */
export const TEMPERS = [
  'none',
  'honest',
  'boastful',
  'modest',
  'nonsense',
  'throwing',
  'hanging',
  'late',
  'slow',
  'greedy',
  'reserving',
  'meddling',
] as const;
export type Temper = (typeof TEMPERS)[number];

const NONSENSE: readonly unknown[] = [
  Number.NaN,
  -1,
  Number.POSITIVE_INFINITY,
  'much',
  undefined,
  null,
  10n,
  {},
  1e300,
  0.5,
  // biome-ignore lint/suspicious/noThenProperty: that is the nonsense
  { then: 1 },
  Symbol('bytes'),
];

/** The reclaimer of an actor; undefined for those that have none. Some have one verb, some both. */
export function reclaimerOf(world: World, actor: Actor): Reclaimer | undefined {
  if (actor.temper === 'none') return undefined;
  const reclaimableBytes = () => estimate(world, actor);
  const reclaimNow = (request: ReclaimRequest) => world.asked(actor, 'now', () => giveBackNow(world, actor, request));
  const reclaim = (request: ReclaimRequest, help: { signal: AbortSignal; scratch: Uint8Array }) =>
    world.askedToWait(actor, help.signal, () => giveBack(world, actor, request, help.signal));
  const verbs = world.random.whole(0, 2);
  if (verbs === 0) return { reclaimableBytes, reclaimNow };
  if (verbs === 1) return { reclaimableBytes, reclaim };
  return { reclaimableBytes, reclaimNow, reclaim };
}

function estimate(world: World, actor: Actor): number {
  const { random } = world;
  switch (actor.temper) {
    case 'boastful':
      return random.chance(0.5) ? actor.own * 10 + 1_000 : Number.POSITIVE_INFINITY;
    case 'modest':
      return random.chance(0.5) ? 0 : 1;
    case 'nonsense':
      return random.pick(NONSENSE) as number;
    case 'throwing':
      if (random.chance(0.3)) throw new Error('no estimate');
      return actor.own;
    default:
      return actor.own;
  }
}

function giveBackNow(world: World, actor: Actor, request: ReclaimRequest): number {
  const { random } = world;
  const { targetBytes } = request;
  switch (actor.temper) {
    case 'boastful':
      return targetBytes * 2;
    case 'modest':
      release(world, actor, targetBytes);
      return 0;
    case 'nonsense':
      if (random.chance(0.5)) release(world, actor, targetBytes);
      return random.pick(NONSENSE) as number;
    case 'throwing':
      if (random.chance(0.5)) release(world, actor, targetBytes);
      throw random.pick([new Error('not now'), undefined, null, 'a text', { code: 'PLIMSOLL_BUDGET_EXCEEDED' }]);
    case 'slow':
      world.clock.pass(random.whole(1, 40));
      return release(world, actor, targetBytes);
    case 'greedy':
    case 'reserving': {
      world.reserveInside(actor);
      const released = random.chance(0.7) ? release(world, actor, targetBytes) : 0;
      world.reserveInside(actor);
      return released;
    }
    case 'meddling':
      world.meddle();
      if (random.chance(0.5)) release(world, actor, targetBytes);
      world.meddle();
      return targetBytes;
    default:
      return release(world, actor, targetBytes);
  }
}

async function giveBack(world: World, actor: Actor, request: ReclaimRequest, signal: AbortSignal): Promise<number> {
  const { random } = world;
  switch (actor.temper) {
    case 'hanging':
      return random.chance(0.7) ? world.never<number>() : release(world, actor, request.targetBytes);
    case 'late':
      await world.untilLate(signal);
      return release(world, actor, request.targetBytes);
    case 'slow':
      await world.wait(random.whole(1, 1_500));
      return signal.aborted ? 0 : release(world, actor, request.targetBytes);
    default:
      if (random.chance(0.5)) await world.wait(random.whole(0, 50));
      return giveBackNow(world, actor, request);
  }
}

/** Gives back honestly: whole reservations first, a part of the last. Returns the bytes. */
function release(world: World, actor: Actor, targetBytes: number): number {
  let released = 0;
  for (const holding of actor.holdings) {
    if (released >= targetBytes || !actor.open) break;
    const bytes = Math.min(holding.bytes, Math.ceil(targetBytes - released));
    if (bytes === holding.bytes && world.random.chance(0.5)) world.dispose(holding);
    else world.shrink(holding, bytes);
    released += bytes;
  }
  return released;
}
