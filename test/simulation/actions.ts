/** Everything that can happen in a simulated process, with how often it does. */
import type { Actor, Holding } from './actor.ts';
import { ABORTED, type World } from './world.ts';

export interface Action {
  readonly name: string;
  readonly weight: number;
  /** False for what cannot happen inside a callback. */
  readonly inside: boolean;
  run(world: World): void | Promise<void>;
}

const TIMEOUTS_MS = [0, 1, 50, 500, 5_000];

/** Mostly small, sometimes half of all there is, sometimes nothing, sometimes more than there is. */
function someBytes({ random, limitBytes }: World): number {
  const sort = random.next();
  if (sort < 0.05) return 0;
  if (sort < 0.55) return random.whole(1, Math.ceil(limitBytes / 50));
  if (sort < 0.9) return random.whole(1, Math.ceil(limitBytes / 4));
  if (sort < 0.98) return random.whole(1, limitBytes);
  return limitBytes * 2;
}

/** Mostly one that is open. */
function someActor({ random, actors, open }: World): Actor | undefined {
  const from = open.length > 0 && random.chance(0.97) ? open : actors;
  return from.length === 0 ? undefined : random.pick(from);
}

function someHolding(world: World): Holding | undefined {
  const actor = someActor(world);
  return actor === undefined || actor.holdings.size === 0 ? undefined : world.random.pick([...actor.holdings]);
}

const withActor = (act: (world: World, actor: Actor) => void) => (world: World) => {
  const actor = someActor(world);
  if (actor !== undefined) act(world, actor);
};

const withHolding = (act: (world: World, holding: Holding) => void) => (world: World) => {
  const holding = someHolding(world);
  if (holding !== undefined) act(world, holding);
};

export const ACTIONS: readonly Action[] = [
  { name: 'enter', weight: 4, inside: true, run: (world) => void world.enter() },
  { name: 'leave', weight: 1.5, inside: true, run: withActor((world, actor) => world.leave(actor)) },
  {
    name: 'reserve',
    weight: 14,
    inside: true,
    run: withActor((world, actor) => {
      world.reserve(actor, someBytes(world), world.random.chance(0.5) ? 'reserve' : 'tryReserve');
    }),
  },
  {
    name: 'admit',
    weight: 10,
    inside: true,
    run: withActor((world, actor) => void world.admit(actor, someBytes(world), world.random.pick(TIMEOUTS_MS))),
  },
  {
    name: 'grow',
    weight: 6,
    inside: true,
    run: withHolding((world, holding) => {
      world.grow(holding, someBytes(world), world.random.pick(['grow', 'tryGrow', 'resize']));
    }),
  },
  {
    name: 'shrink',
    weight: 4,
    inside: true,
    run: withHolding((world, holding) => world.shrink(holding, world.random.whole(0, holding.bytes))),
  },
  { name: 'dispose', weight: 12, inside: true, run: withHolding((world, holding) => world.dispose(holding)) },
  {
    name: 'transfer',
    weight: 4,
    inside: true,
    run: withHolding((world, holding) => {
      const to = someActor(world);
      if (to !== undefined) world.transfer(holding, to);
    }),
  },
  {
    name: 'abort',
    weight: 2,
    inside: true,
    run(world) {
      const [...waiting] = world.waiting;
      if (waiting.length === 0) return;
      const one = world.random.pick(waiting);
      world.say(`${one.actor.name} aborts its wait`);
      one.abort.abort(ABORTED);
    },
  },
  {
    name: 'section',
    weight: 3,
    inside: true,
    run: withActor((world, actor) => {
      const open = actor.sections.pop();
      world.say(`${actor.name} ${open === undefined ? 'begins' : 'ends'} a section`);
      if (open !== undefined) open[Symbol.dispose]();
      else if (actor.open) actor.sections.push(actor.consumer.nonReclaimable());
    }),
  },
  {
    name: 'tune',
    weight: 0.7,
    inside: true,
    run(world) {
      const bytes = Math.max(1_000, Math.floor(world.limitBytes * (0.5 + world.random.next())));
      world.tune(bytes);
    },
  },
  {
    name: 'sample',
    weight: 3,
    inside: true,
    run(world) {
      world.say('sample');
      world.attempt('sample', [], () => world.governor.sample());
    },
  },
  {
    name: 'machine',
    weight: 4,
    inside: false,
    run({ machine, random, limitBytes }) {
      const sort = random.whole(0, 4);
      if (sort === 0) machine.leaked += random.whole(0, limitBytes / 5);
      else if (sort === 1) machine.leaked = 0;
      else if (sort === 2) machine.pageCache = random.whole(0, limitBytes);
      else if (sort === 3) machine.collect('minor');
      else machine.calm();
    },
  },
  {
    name: 'spoil',
    weight: 0.5,
    inside: false,
    run({ machine, random }) {
      const wrong = random.pick([Number.NaN, -1, Number.POSITIVE_INFINITY, undefined]) as number;
      random.pick(machine.meters).spoiled.push(() => {
        if (wrong === undefined) throw new Error('the meter is broken');
        return wrong;
      });
    },
  },
  {
    name: 'time',
    weight: 10,
    inside: false,
    run(world) {
      const ms = world.random.pick([1, 10, 60, 250, 800]);
      world.say(`${ms}ms go by`);
      return world.clock.run(ms);
    },
  },
  {
    name: 'work',
    weight: 2,
    inside: false,
    run(world) {
      const ms = world.random.pick([1, 50, 1_000]);
      world.say(`${ms}ms of synchronous work`);
      world.clock.pass(ms);
    },
  },
  { name: 'let go', weight: 1, inside: false, run: (world) => world.letGo() },
];

const INSIDE = ACTIONS.filter(({ inside }) => inside);

/** One thing at random; `anywhere` leaves out what takes time. */
export function happen(world: World, where: 'step' | 'callback'): void | Promise<void> {
  const action = world.random.weighted(where === 'step' ? ACTIONS : INSIDE);
  world.count(`action ${action.name}`);
  return action.run(world);
}
