/** What is asked of the governor beside bytes. */
import { PRESSURE_LEVELS, RECLAIM_STRATEGIES } from 'plimsoll';
import type { World } from './world.ts';

/** Asks for a train, as somebody at a console would. */
export function askForTrain(world: World): void {
  const { random } = world;
  const targetBytes = random.chance(0.5) ? {} : { targetBytes: random.whole(1, world.limitBytes) };
  const strategy = random.chance(0.5) ? {} : { strategy: random.pick(RECLAIM_STRATEGIES) };
  world.say('a train is asked for');
  const running = world.attempt('reclaim', [], () => world.governor.reclaim({ ...targetBytes, ...strategy }));
  world.trains++;
  running?.then(
    ({ seenBytes }) => {
      world.trains--;
      world.count('trains asked for');
      world.say(`the train that was asked for has seen ${seenBytes}`);
    },
    (error) => void world.judge('reclaim', [], error),
  );
}

/** A trigger that does something now and then, throws now and then, and goes away after a while. */
export function trigger(world: World): void {
  const { random } = world;
  const condition = random.chance(0.5) ? { level: random.pick(PRESSURE_LEVELS.slice(1)) } : { from: 0.3, to: 0.8 };
  const made = world.attempt('when', ['PLIMSOLL_INVALID_OPTION'], () =>
    world.governor.when(condition, ({ scale }) => {
      world.count('triggered');
      world.demand(world.mode === 'on', 'no trigger acts unless the mode is `on`', () => '');
      world.demand(scale >= 0 && scale <= 1, 'a scale is from 0 to 1', () => `${scale}`);
      world.callback('trigger', () => random.chance(0.3) && world.meddle());
      if (random.chance(0.1)) throw new Error('the trigger fails');
    }),
  );
  if (made !== undefined) world.clock.later(random.whole(0, 5_000), () => made[Symbol.dispose]());
}

/** Asks whether to turn a call away. */
export function shed(world: World): void {
  const point = `point-${world.random.whole(0, 3)}`;
  const away = world.attempt('shouldShed', [], () => world.governor.shouldShed(point));
  if (away === true) world.count('shed');
  world.demand(away !== true || world.mode === 'on', 'nothing is turned away unless the mode is `on`', () => point);
}
