/** What holds after every step, whoever did what. */
import { MEMORY_KINDS, type PressureLevel } from 'plimsoll';
import { survivesJson, type World } from './world.ts';

export class Invariants {
  readonly #world: World;
  #samples = 0;
  #level: PressureLevel = 'optimal';

  constructor(world: World) {
    this.#world = world;
  }

  /** Cheap ones each time, those that build pictures when `thorough`. */
  check(thorough: boolean): void {
    this.#books();
    this.#world.checkLine('after the step');
    this.#queue();
    if (thorough) {
      this.#levels();
      this.#snapshot();
    }
  }

  /** Held is the sum of the open reservations: of each, of each consumer, of all. */
  #books(): void {
    const { demand, actors, governor, machine, mode } = this.#bound();
    let sum = machine.baselineBytes;
    for (const actor of actors) {
      const { consumer, holdings } = actor;
      let own = 0;
      for (const { reservation, bytes } of holdings) {
        own += bytes;
        demand(reservation.bytes === bytes, 'a reservation holds what it was given', () => {
          return `${actor.name}: ${reservation.bytes} and not ${bytes}`;
        });
      }
      sum += own;
      demand(consumer.heldBytes === actor.total, 'held is the sum of the open reservations', () => {
        return `${actor.name}: ${consumer.heldBytes} and not ${actor.total}`;
      });
      demand(mode !== 'on' || consumer.heldBytes <= actor.maxBytes, 'never over its own bound', () => {
        return `${actor.name}: ${consumer.heldBytes} of ${actor.maxBytes}`;
      });
      demand(consumer.peakBytes >= Math.max(actor.peak, actor.total), 'a peak is the most that was held', () => {
        return `${actor.name}: ${consumer.peakBytes}, but ${Math.max(actor.peak, actor.total)} were held`;
      });
      actor.peak = consumer.peakBytes;
    }
    demand(governor.heldBytes === sum, 'held is the sum of the open reservations', () => {
      return `the whole: ${governor.heldBytes} and not ${sum}`;
    });
  }

  /** Nobody waits who need not; nobody waits for ever; nobody is passed too often. */
  #queue(): void {
    const { demand, waiting, clock, ended, mode, governor, maxBypass } = this.#bound();
    const isFirst = (called: number) => {
      for (const other of waiting) if (other.began < called && other.called !== called) return false;
      return true;
    };
    for (const one of waiting) {
      const { actor, bytes, since, timeoutMs, abort } = one;
      const waited = clock.now() - since;
      const who = () => `${actor.name} waits for ${bytes} of ${governor.availableBytes} since ${waited}ms`;
      demand(mode === 'on', 'nobody waits unless the mode is `on`', who);
      demand(since + timeoutMs >= clock.firedUntil, 'nobody waits beyond the timeout', who);
      demand(!abort.signal.aborted, 'who is aborted does not wait', who);
      demand(!ended && actor.open, 'nobody waits on what has ended', who);
      if (actor.isPlain) {
        demand(
          one.passed <= maxBypass,
          'nobody is passed more often than the bound',
          () => `${who()}, passed ${one.passed} times`,
        );
        const fits = bytes <= governor.availableBytes;
        demand(!fits || !isFirst(one.called), 'who stands first and fits is granted', who);
      }
    }
  }

  /** Each sample's level is the one that the thresholds give for its ratio after the level before. */
  #levels(): void {
    const { demand, governor } = this.#bound();
    const { samples } = governor.snapshot();
    const fresh = samples.count - this.#samples;
    const history = governor.history();
    const from = Math.max(0, history.length - fresh);
    if (from === 0 && fresh > history.length) this.#level = history[0]!.level;
    for (const { level, ratio } of history.slice(from)) {
      const expected = levelAfter(this.#level, ratio);
      demand(level === expected, 'the level follows the thresholds', () => {
        return `${level} and not ${expected} at ${ratio} after ${this.#level}`;
      });
      this.#level = level;
    }
    this.#samples = samples.count;
  }

  /** The snapshot is plain data and says what the books say. */
  #snapshot(): void {
    const { demand, governor, machine, actors, waiting, limitBytes } = this.#bound();
    const snapshot = governor.snapshot();
    demand(survivesJson(snapshot), 'a snapshot survives JSON', () => JSON.stringify(snapshot));
    const figures = {
      reservedBytes: governor.heldBytes,
      limitBytes,
      availableBytes: Math.max(0, limitBytes - governor.heldBytes),
      waiting: waiting.size,
    };
    for (const [name, value] of Object.entries(figures)) {
      const found = snapshot[name as keyof typeof figures];
      demand(found === value, 'the figures of a snapshot agree', () => `${name}: ${found} and not ${value}`);
    }
    for (const kind of MEMORY_KINDS) {
      const runtime = kind === 'heap' ? machine.baselineBytes : 0;
      const sum = actors.reduce((bytes, actor) => bytes + (actor.kind === kind ? actor.own : 0), runtime);
      demand(
        snapshot.byKind[kind] === sum,
        'the kinds add up',
        () => `${kind}: ${snapshot.byKind[kind]} and not ${sum}`,
      );
    }
    const rows = new Map(snapshot.consumers.map((row) => [row.name, row]));
    for (const actor of actors) {
      const row = rows.get(actor.name);
      demand((row !== undefined) === actor.open, 'the rows are the open consumers', () => actor.name);
      demand(row === undefined || row.ownBytes === actor.own, 'the figures of a snapshot agree', () => {
        return `${actor.name}: ${row?.ownBytes} and not ${actor.own}`;
      });
    }
  }

  #bound() {
    const world = this.#world;
    const demand: World['demand'] = (holds, invariant, detail) => world.demand(holds, invariant, detail);
    const { actors, governor, machine, mode, waiting, clock, ended, maxBypass, limitBytes } = world;
    return { demand, actors, governor, machine, mode, waiting, clock, ended, maxBypass, limitBytes };
  }
}

const LEVELS: readonly (readonly [PressureLevel, number])[] = [
  ['emergency', 0.95],
  ['critical', 0.85],
  ['high', 0.7],
  ['moderate', 0.5],
  ['optimal', 0],
];
const HYSTERESIS = 0.03;

/** The scale as the design has it, written anew: upwards at once, downwards only past the hysteresis. */
function levelAfter(before: PressureLevel, ratio: number): PressureLevel {
  const at = (value: number) => LEVELS.find(([, from]) => value >= from)![0];
  const rank = (level: PressureLevel) => LEVELS.findIndex(([name]) => name === level);
  const up = at(ratio);
  if (rank(up) <= rank(before)) return up;
  const down = at(ratio + HYSTERESIS);
  return rank(down) > rank(before) ? down : before;
}
