import { happen } from './actions.ts';
import { Invariants } from './invariants.ts';
import { World } from './world.ts';

export interface SimulationOptions {
  /** Steps before the end. Default 250. */
  readonly steps?: number;
  /** Keeps a log of all that happens. Default false. */
  readonly verbose?: boolean;
}

export interface SimulationResult {
  readonly seed: number;
  /** Steps done. */
  readonly steps: number;
  /** What did not hold. */
  readonly failure?: { readonly step: number; readonly invariant: string; readonly detail: string };
  readonly log: readonly string[];
  /** How often what happened. */
  readonly counts: Readonly<Record<string, number>>;
}

const STEPS = 250;
/** Rows and samples are looked at every so many steps. */
const THOROUGH_EVERY = 10;
/** Longer than any timeout that is asked for and any deadline. */
const LONG_MS = 60_000;

/** Runs one seed to its end, or to the first invariant that does not hold. The same seed does the same. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationResult> {
  const steps = options.steps ?? STEPS;
  const world = new World(seed);
  world.verbose = options.verbose ?? false;
  world.meddle = () => void happen(world, 'callback');
  const onRejection = (reason: unknown) => {
    world.demand(false, 'no rejection is left unhandled', () =>
      String(reason instanceof Error ? reason.stack : reason),
    );
  };
  process.on('unhandledRejection', onRejection);
  const invariants = new Invariants(world);
  let step = 0;
  try {
    const endsAt = world.random.chance(0.1) ? world.random.whole(1, steps) : steps + 1;
    while (step < steps && world.violation === undefined) {
      step++;
      world.say(`-- step ${step}`);
      if (step === endsAt) world.end();
      const going = happen(world, 'step');
      if (going !== undefined) await going;
      await world.settle();
      invariants.check(step % THOROUGH_EVERY === 0);
    }
    if (world.violation === undefined) await drain(world, invariants);
  } catch (error) {
    world.demand(false, 'nothing is thrown but documented codes', () => String((error as Error).stack ?? error));
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  const { violation, log, counts } = world;
  return { seed, steps: step, log, counts, ...(violation === undefined ? {} : { failure: { step, ...violation } }) };
}

/** The end: all is released and time goes by. Whoever waited is granted or turned away, and nothing is left behind. */
async function drain(world: World, invariants: Invariants): Promise<void> {
  world.say('-- the end: everything is released');
  world.meddle = () => {};
  world.calm = true;
  world.machine.calm();
  for (let round = 0; round < 200; round++) {
    world.letGo();
    for (const scope of world.room.scopes) scope.finish('returns');
    for (const actor of world.actors) {
      for (const section of actor.sections.splice(0)) section[Symbol.dispose]();
      for (const holding of [...actor.holdings]) world.dispose(holding);
    }
    await world.clock.run(100);
    await world.settle();
    invariants.check(false);
    if (world.room.waiting.size === 0 && world.room.scopes.size === 0) break;
  }
  for (const scope of world.room.scopes) scope.finish('returns');
  await world.clock.run(LONG_MS);
  await world.settle();
  world.demand(world.room.waiting.size === 0, 'nobody is stranded', () => {
    return [...world.room.waiting].map(({ actor, bytes }) => `${actor.name} waits for ${bytes}`).join(', ');
  });
  world.demand(world.room.scopes.size === 0, 'no scope is left open', () =>
    [...world.room.scopes].map(({ name }) => name).join(),
  );
  for (const actor of world.actors) for (const holding of [...actor.holdings]) world.dispose(holding);
  invariants.check(true);
  if (!world.ended) world.end();
  world.letGo();
  await world.settle();
  await world.clock.run(LONG_MS);
  await world.settle();
  world.demand(world.trains === 0, 'every train ends', () => `${world.trains} do not`);
  const { pending } = world.clock;
  world.demand(pending === 0, 'no timer is left', () => `${pending} are`);
  const { heldBytes } = world.governor;
  world.demand(heldBytes === world.machine.baselineBytes, 'nothing is held at the end', () => `${heldBytes} bytes are`);
}
