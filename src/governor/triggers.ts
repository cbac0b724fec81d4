/**
 * Calls what the user wants done at a level, or in proportion between two shares of the limit. The two kinds are those of Envoy's overload
 * manager (envoy/config/overload/v3/overload.proto: ThresholdTrigger, ScaledTrigger); the first goes by the level here, which has hysteresis.
 *
 * An action may register, dispose, or take a sample: a sample inside is remembered and told when the round is over, so that no action is
 * ever told an older state after a newer one.
 */
import { checkNumber, checkOneOf, copyOptions, invalidOption } from '../invalid-option.ts';
import { PRESSURE_LEVELS, type PressureLevel } from './contract.ts';
import type { Faults } from './faults.ts';
import { levelRank } from './pressure.ts';
import { checkRange, type ScaledRange, scaleAt } from './scaled-range.ts';

const MAX_TRIGGERS = 256;
const DEFAULT_STEP = 0.05;
/** What a step may fall short by: 0.1 + 0.05 is not quite 0.15. */
const TINY = 1e-9;
/** Samples taken by actions inside one round that are told as well; more are left to the next sample. */
const MAX_ROUNDS = 8;

/**
 * At a level: from entering it, or one above, until it is left downwards. Or scaled: `step` is the least change told, default 0.05. `by: 'machine'` goes by what the
 * machine sees, whatever the books say. Default: by the deciding meter, the ledger included.
 */
export type TriggerCondition = ({ readonly level: PressureLevel } | (ScaledRange & { readonly step?: number })) & {
  readonly by?: 'machine';
};

/** Where memory stands. */
export interface Standing {
  readonly level: PressureLevel;
  readonly ratio: number;
}

/** What an action is told. */
export interface TriggerEvent {
  /** As the sample had it that set the trigger off, with the ratio of the deciding meter. */
  readonly level: PressureLevel;
  readonly ratio: number;
  /** 0 to 1 between the two shares; of a trigger at a level 1 on entering and 0 on leaving. */
  readonly scale: number;
  /** False when it is over. */
  readonly active: boolean;
}

/** What it throws, or rejects with, stands in the snapshot's faults. */
export type TriggerAction = (event: TriggerEvent) => void;

class Trigger {
  readonly action: TriggerAction;
  /** Of the level, or -1 for a scaled one. */
  readonly rank: number;
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly byMachine: boolean;
  scale = 0;
  gone = false;

  constructor(condition: TriggerCondition, action: TriggerAction) {
    const scaled = 'level' in condition ? undefined : condition;
    this.rank = 'level' in condition ? levelRank(condition.level) : -1;
    this.from = scaled?.from ?? 0;
    this.to = scaled?.to ?? 1;
    this.step = scaled?.step ?? DEFAULT_STEP;
    this.byMachine = condition.by === 'machine';
    this.action = action;
  }

  /** The scale to be told, NaN when there is nothing to tell. */
  due(rank: number, ratio: number): number {
    const before = this.scale;
    if (this.rank >= 0) {
      const now = rank >= this.rank ? 1 : 0;
      return now === before ? Number.NaN : now;
    }
    const now = scaleAt(ratio, this.from, this.to);
    if (now === before) return Number.NaN;
    return now === 0 || now === 1 || Math.abs(now - before) >= this.step - TINY ? now : Number.NaN;
  }
}

/** At most 256 triggers. */
export class Triggers {
  readonly #faults: Faults;
  /** Replaced, never changed: a round goes through the one it began with. */
  #triggers: readonly Trigger[] = [];
  #all: Standing = { level: 'optimal', ratio: 0 };
  #machine: Standing = this.#all;
  #again = false;
  #inside = false;

  constructor(options: { readonly faults: Faults }) {
    this.#faults = options.faults;
  }

  get size(): number {
    return this.#triggers.length;
  }

  /**
   * Calls `action` when the condition comes to hold, changes its scale, or ends, until the result is disposed. A condition that holds already
   * is told with the next sample. Throws `RangeError` for unsound conditions and for more than 256.
   */
  when(condition: TriggerCondition, action: TriggerAction): Disposable {
    const sound = checkCondition(condition);
    if (typeof action !== 'function') throw invalidOption('action', 'a function', action);
    if (this.#triggers.length >= MAX_TRIGGERS) {
      throw invalidOption('action', `one of at most ${MAX_TRIGGERS} (dispose some)`, action);
    }
    const trigger = new Trigger(sound, action);
    this.#triggers = [...this.#triggers, trigger];
    return {
      [Symbol.dispose]: () => {
        trigger.gone = true;
        this.#triggers = this.#triggers.filter((other) => other !== trigger);
      },
    };
  }

  /** A sample was taken: all meters, and all but the ledger. About 4 ns a trigger. Never throws. */
  note(all: Standing, machine: Standing = all): void {
    this.#all = all;
    this.#machine = machine;
    this.#again = true;
    if (this.#inside) return;
    this.#inside = true;
    for (let round = 0; this.#again && round < MAX_ROUNDS; round++) {
      this.#again = false;
      this.#tell();
    }
    this.#inside = false;
  }

  /** Forgets all: nobody is told anything any more. */
  clear(): void {
    for (const trigger of this.#triggers) trigger.gone = true;
    this.#triggers = [];
  }

  #tell(): void {
    const triggers = this.#triggers;
    for (let i = 0; i < triggers.length; i++) {
      const trigger = triggers[i]!;
      const { level, ratio } = trigger.byMachine ? this.#machine : this.#all;
      const scale = trigger.due(levelRank(level), ratio);
      if (Number.isNaN(scale) || trigger.gone) continue;
      trigger.scale = scale;
      const event = { level, ratio, scale, active: scale > 0 };
      try {
        this.#faults.watch('trigger', trigger.action(event));
      } catch (cause) {
        this.#faults.note('trigger', cause);
      }
    }
  }
}

function checkCondition(given: TriggerCondition): TriggerCondition {
  const known = 'level' in Object(given) ? ['level', 'by'] : ['from', 'to', 'step', 'by'];
  const condition = copyOptions('condition', given, known, 'an object like `{ level }` or `{ from, to }`');
  if (condition.by !== undefined) checkOneOf('condition.by', condition.by, ['machine']);
  if ('level' in condition) checkOneOf('condition.level', condition.level, PRESSURE_LEVELS);
  else {
    checkRange('condition', condition);
    if (condition.step !== undefined) checkNumber('condition.step', condition.step, 0, 1);
  }
  return condition;
}
