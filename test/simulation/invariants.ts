/** What holds after every step, whoever did what. */
import { MEMORY_KINDS } from 'plimsoll';
import { levelAfter } from './level-after.ts';
import { survivesJson, type World } from './world.ts';

/** After an `emergency` nobody is let in until the next sample has been taken and looked at. */
const CALM_MS = 2_500;

/** Its own bound, and what runs when it is reached: somebody that is waited for, and synchronous work. */
/** A time since 1970 has no more than a quarter of a microsecond in a double; of the difference of two: */
const ROUNDING_MS = 0.01;
const LONGEST_TRAIN_MS = 10_000 + 2_000 + 3_000;
/** A report has no more. */
const MOST_PARTS = 64;

/**
 * What others were granted lately counts against the machine's room until samples by the clock have shown it: it is halved with each, every 100 ms while
 * somebody waits for the machine.
 */
const WAKE_MS = 1_500;
/** The part of the limit up to which nobody would say that the machine has no room. */
const PLENTY = 0.8;

export class Invariants {
  readonly #world: World;
  #trains = 0;
  #trainEndedAt = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Cheap ones each time, those that build pictures when `thorough`. */
  check(thorough: boolean): void {
    this.#scopes();
    this.#books();
    this.#world.checkLine('after the step');
    this.#queue();
    const { waitedForMs, reclaimDeadlineMs } = this.#world;
    this.#world.demand(waitedForMs <= reclaimDeadlineMs, 'every reclaim is bounded in time', () => `${waitedForMs}ms`);
    if (thorough) {
      this.#levels();
      this.#journal();
      this.#snapshot();
    }
  }

  /** Held is the sum of the open reservations: of each, of each consumer, of all. */
  #books(): void {
    const { demand, actors, governor, machine, mode, scopes } = this.#bound();
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
    for (const scope of scopes) sum += scope.potBytes;
    demand(governor.heldBytes === sum, 'held is the sum of the open reservations', () => {
      return `the whole: ${governor.heldBytes} and not ${sum}`;
    });
  }

  /** A scope holds what was reserved in it and in those inside it, and what is left of what they declared. */
  #scopes(): void {
    const { demand, actors, mode, scopes } = this.#bound();
    for (const one of [...scopes].reverse()) {
      const { scope, name, maxBytes } = one;
      if (scope === undefined) continue;
      let sum = 0;
      for (const other of scopes) if (other !== one && other.isWithin(one)) sum += other.potBytes;
      for (const { holdings } of actors) {
        for (const holding of holdings) if (holding.scope?.live?.isWithin(one)) sum += holding.bytes;
      }
      demand(
        one.focus(scope.heldBytes - sum),
        'a scope holds what was reserved in it',
        () => `${name}: ${scope.heldBytes}`,
      );
      sum += one.potBytes;
      demand(
        scope.heldBytes === sum,
        'a scope holds what was reserved in it',
        () => `${name}: ${scope.heldBytes} and not ${sum}`,
      );
      demand(
        mode !== 'on' || sum <= maxBytes,
        'a scope is never over its bound',
        () => `${name}: ${sum} of ${maxBytes}`,
      );
    }
  }

  /** Nobody waits who need not; nobody waits for ever; nobody is passed too often. */
  #queue(): void {
    const { demand, waiting, clock, ended, mode, governor, maxBypass, pots, emergencyAt } = this.#bound();
    if (governor.level === 'emergency') this.#world.emergencyAt = clock.now();
    const isFirst = (called: number) => {
      for (const other of waiting) if (other.began < called && other.called !== called) return false;
      return true;
    };
    for (const one of waiting) {
      const { actor, bytes, since, timeoutMs, abort, scope } = one;
      const waited = clock.now() - since;
      const who = () => `${actor.name} waits for ${bytes} of ${governor.availableBytes} since ${waited}ms`;
      demand(mode === 'on', 'nobody waits unless the mode is `on`', who);
      demand(since + timeoutMs >= clock.firedUntil, 'nobody waits beyond the timeout', who);
      demand(!abort.signal.aborted && scope?.failed !== true, 'who is aborted does not wait', who);
      demand(!ended && actor.open, 'nobody waits on what has ended', who);
      if (actor.isPlain && (scope === undefined || (actor === pots && scope.outer === undefined))) {
        demand(
          one.passed <= maxBypass,
          'nobody is passed more often than the bound',
          () => `${who()}, passed ${one.passed} times`,
        );
        const inBooks = bytes <= governor.availableBytes && clock.now() - emergencyAt > CALM_MS;
        const fits = inBooks && this.#machineHasRoom(bytes);
        if (!fits || !isFirst(one.called)) one.fitsSince = Number.POSITIVE_INFINITY;
        else one.fitsSince = Math.min(one.fitsSince, clock.firedUntil);
        const inTime = !(clock.firedUntil - one.fitsSince > WAKE_MS);
        demand(inTime, 'who stands first and fits is granted', who);
      }
    }
  }

  /** By what the last sample showed, with room to spare: where it is close, the governor may see it otherwise. */
  #machineHasRoom(bytes: number): boolean {
    const { governor } = this.#world;
    const { meters } = governor.snapshot();
    const coming = governor.heldBytes - (meters.find(({ name }) => name === 'ledger')?.bytes ?? 0);
    const need = 2 * (bytes + Math.max(0, coming));
    return meters.every((row) => row.name === 'ledger' || row.bytes + need < row.limitBytes * PLENTY);
  }

  /** Each sample's level is one that the thresholds allow for its ratio; switched off, it knows but one. */
  #levels(): void {
    const { demand, governor } = this.#bound();
    for (const { level, ratio } of governor.history()) {
      const expected = governor.mode === 'off' ? 'optimal' : levelAfter(level, ratio);
      demand(expected === level, 'the level follows the thresholds', () => `${level} at ${ratio}`);
    }
  }

  /** Each train was bounded in time, and its figures are those of its parts. */
  #journal(): void {
    const { demand, governor, mode } = this.#bound();
    const reports = governor.journal();
    for (const report of reports.filter(({ number }) => number > this.#trains)) {
      const { number, elapsedMs, parts, observed } = report;
      this.#trains = number;
      this.#world.count(`train ${report.why}`);
      demand(elapsedMs <= LONGEST_TRAIN_MS, 'every train is bounded in time', () => `train ${number}: ${elapsedMs}ms`);
      demand(observed === (mode !== 'on'), 'a train is only observed unless the mode is `on`', () => `train ${number}`);
      // Inside a reservation one may run while another waits.
      if (report.why !== 'reservation') {
        const beganAt = report.takenAt - elapsedMs;
        demand(beganAt >= this.#trainEndedAt - ROUNDING_MS, 'one train at a time', () => `train ${number}`);
        this.#trainEndedAt = report.takenAt;
      }
      if (observed || parts.length >= MOST_PARTS) continue;
      for (const figure of ['claimedBytes', 'releasedBytes', 'seenBytes'] as const) {
        const sum = parts.reduce((bytes, part) => bytes + part[figure], 0);
        const isSame = Math.abs(report[figure] - sum) <= 1e-9 * Math.abs(sum) + 1e-6;
        demand(isSame, 'the journal adds up', () => `train ${number}: ${figure} ${report[figure]} and not ${sum}`);
      }
    }
    const { trains } = governor.snapshot();
    demand(
      trains.count === this.#trains,
      'the journal has every train',
      () => `${trains.count} and not ${this.#trains}`,
    );
  }

  /** The snapshot is plain data and says what the books say. */
  #snapshot(): void {
    const { demand, governor, machine, actors, waiting, limitBytes, scopes } = this.#bound();
    let potBytes = 0;
    for (const scope of scopes) potBytes += scope.potBytes;
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
      const runtime = kind === 'heap' ? machine.baselineBytes + potBytes : 0;
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
    const { actors, governor, machine, mode, clock, ended, maxBypass, limitBytes, room, emergencyAt } = world;
    const { waiting, scopes, pots } = room;
    return {
      demand,
      actors,
      governor,
      machine,
      mode,
      waiting,
      clock,
      ended,
      maxBypass,
      limitBytes,
      scopes,
      pots,
      emergencyAt,
    };
  }
}
