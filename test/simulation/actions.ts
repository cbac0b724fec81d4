/** Everything that can happen in a simulated process, with how often it does. */
import type { Actor, Holding } from './actor.ts';
import { askForTrain, shed, trigger } from './asking.ts';
import type { SimulatedScope } from './simulated-scope.ts';
import { ABORTED, type World } from './world.ts';

export interface Action {
  readonly name: string;
  readonly weight: number;
  /** False for what cannot happen inside a callback. */
  readonly inside: boolean;
  /** False for what cannot happen inside a scope either: it has the governor call others by other ways than a request. Default: as `inside`. */
  readonly scoped?: boolean;
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

const withScope = (act: (world: World, scope: SimulatedScope) => void) => (world: World) => {
  const { random, room } = world;
  const { scopes } = room;
  if (scopes.size > 0) act(world, random.pick([...scopes]));
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
    run: withActor((world, actor) => void world.room.admit(actor, someBytes(world), world.random.pick(TIMEOUTS_MS))),
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
      const [...waiting] = world.room.waiting;
      if (waiting.length === 0) return;
      const one = world.random.pick(waiting);
      if (one.actor === world.room.pots) return;
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
    scoped: false,
    run(world) {
      const bytes = Math.max(1_000, Math.floor(world.limitBytes * (0.5 + world.random.next())));
      world.tune(bytes);
    },
  },
  {
    name: 'sample',
    weight: 3,
    inside: true,
    scoped: false,
    run(world) {
      world.say('sample');
      world.attempt('sample', [], () => world.governor.sample());
    },
  },
  { name: 'train', weight: 1, inside: true, scoped: false, run: askForTrain },
  { name: 'trigger', weight: 0.5, inside: true, scoped: false, run: trigger },
  { name: 'shed', weight: 3, inside: true, scoped: false, run: shed },
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
  {
    name: 'scope',
    weight: 4,
    inside: true,
    run(world) {
      const { random, limitBytes } = world;
      const bytes = random.chance(0.5) ? 0 : Math.min(someBytes(world), limitBytes);
      const maxBytes = random.chance(0.5) ? Number.POSITIVE_INFINITY : Math.max(bytes, random.whole(0, limitBytes));
      world.room.openScope(bytes, maxBytes, random.pick(TIMEOUTS_MS));
    },
  },
  {
    name: 'work in a scope',
    weight: 18,
    inside: false,
    run: withScope((world, scope) => {
      const acts = world.random.whole(1, 4);
      for (let i = 0; i < acts; i++) scope.post(() => void happen(world, 'scope'));
    }),
  },
  {
    name: 'end a scope',
    weight: 3,
    inside: false,
    run: withScope((world, scope) => scope.finish(world.random.chance(0.8) ? 'returns' : 'throws')),
  },
  {
    name: 'abort a scope',
    weight: 0.7,
    inside: true,
    run: withScope((world, scope) => {
      world.say(`${scope.name} is aborted`);
      scope.abort.abort(ABORTED);
    }),
  },
  { name: 'let go', weight: 1, inside: false, run: (world) => world.letGo() },
];

const INSIDE = ACTIONS.filter(({ inside }) => inside);
const SCOPED = INSIDE.filter(({ scoped }) => scoped !== false);
const BY_PLACE = { step: ACTIONS, callback: INSIDE, scope: SCOPED };

/** One thing at random, of those that can happen there. */
export function happen(world: World, where: keyof typeof BY_PLACE): void | Promise<void> {
  const action = world.random.weighted(BY_PLACE[where]);
  world.count(`action ${action.name}`);
  return action.run(world);
}
