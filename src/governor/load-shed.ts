/**
 * Turns calls away under pressure, at named points. Load-shed points are those of Envoy's overload manager
 * (envoy/config/overload/v3/overload.proto: LoadShedPoint); a scaled point turns away its part of the calls evenly, by carrying the
 * remainder on from call to call (error diffusion, Floyd and Steinberg 1976, in one dimension), so that no run of bad luck hits anybody.
 *
 * Asked for every request: a look in a map and two or three whole numbers. What a sample changes is worked out when the sample comes.
 */
import { checkOneOf, copyOptions, invalidOption } from '../invalid-option.ts';
import { PRESSURE_LEVELS, type PressureLevel } from './contract.ts';
import type { GovernorMode } from './governor-mode.ts';
import { levelRank } from './pressure.ts';
import { checkRange, type ScaledRange, scaleAt } from './scaled-range.ts';

/** From which level on calls at a point are turned away; or, between two shares of the limit, in proportion. */
export type ShedRule = { readonly level: PressureLevel } | ScaledRange;

/** One point: how often it was asked, and how often the answer was to turn the call away; in `observe` it would have been. */
export interface ShedRow {
  readonly point: string;
  readonly asked: number;
  readonly shed: number;
}

export interface LoadShedOptions {
  readonly rules?: Readonly<Record<string, ShedRule>> | undefined;
  /** While it is not closed, all points turn away all but what it lets through. */
  readonly breaker?: { readonly closed: boolean; allow(): boolean } | undefined;
  /** `observe` only counts; `off` neither counts nor turns away. Default `on`. */
  readonly mode?: GovernorMode | undefined;
}

/** Points without a rule that are remembered by name; those that come later share one row. */
const MAX_UNKNOWN = 256;
const LONGEST_NAME = 120;
const OTHERS = '(others)';
const DEFAULT_RULE: ShedRule = { level: 'critical' };
/** All calls, in parts of a call. */
const ALL = 65_536;

class Point {
  readonly name: string;
  /** Of the level, or -1 for a scaled one. */
  rank = 0;
  from = 0;
  to = 1;
  /** How much of each call is to be turned away, 0 to `ALL`, and what is carried on to the next. */
  share = 0;
  carried = 0;
  asked = 0;
  shed = 0;

  constructor(name: string, rule: ShedRule) {
    this.name = name;
    this.setRule(rule, 0, 0);
  }

  setRule(rule: ShedRule, rank: number, ratio: number): void {
    this.rank = 'level' in rule ? levelRank(rule.level) : -1;
    this.from = 'level' in rule ? 0 : rule.from;
    this.to = 'level' in rule ? 1 : rule.to;
    this.follow(rank, ratio);
  }

  follow(rank: number, ratio: number): void {
    let share = rank >= this.rank ? ALL : 0;
    if (this.rank < 0) {
      const scale = scaleAt(ratio, this.from, this.to);
      // A ratio that is no number changes nothing.
      if (Number.isNaN(scale)) return;
      share = Math.round(scale * ALL);
    }
    this.share = share;
    // Nothing is owed from the last time.
    if (share === 0) this.carried = 0;
  }
}

export class LoadShed {
  readonly #points = new Map<string, Point>();
  readonly #all: Point[] = [];
  readonly #breaker: LoadShedOptions['breaker'];
  #off: boolean;
  #closed = false;
  #enforced: boolean;
  #unknown = 0;
  #others: Point | undefined;
  #rank = 0;
  #ratio = 0;

  /** Throws `RangeError` for an unsound rule. */
  constructor(options: LoadShedOptions = {}) {
    this.#breaker = options.breaker;
    this.#off = options.mode === 'off';
    this.#enforced = (options.mode ?? 'on') === 'on';
    for (const [name, rule] of Object.entries(checkShedRules(options.rules ?? {}))) this.#add(name, rule);
  }

  /** Whether to turn this call away. About 5 ns, 40 ns while the breaker is open; no garbage; never throws. A point without a rule turns away from `critical` on. */
  shouldShed(point: string): boolean {
    if (this.#off) return false;
    const at = this.#points.get(point) ?? this.#meet(point);
    at.asked++;
    const breaker = this.#breaker;
    if (breaker !== undefined && !breaker.closed) {
      if (breaker.allow()) return false;
    } else {
      const share = at.share;
      if (share === 0) return false;
      const owed = at.carried + share;
      if (owed < ALL) {
        at.carried = owed;
        return false;
      }
      at.carried = owed - ALL;
    }
    at.shed++;
    return this.#enforced;
  }

  /** A sample was taken. About 2 ns a point, no garbage. */
  note(level: PressureLevel, ratio: number): void {
    const rank = levelRank(level);
    if (rank === this.#rank && ratio === this.#ratio) return;
    this.#rank = rank;
    this.#ratio = ratio;
    for (let i = 0; i < this.#all.length; i++) this.#all[i]!.follow(rank, ratio);
  }

  /** From now on nothing is turned away. */
  close(): void {
    this.#off = this.#closed = true;
  }

  setMode(mode: GovernorMode): void {
    this.#off = this.#closed || mode === 'off';
    this.#enforced = mode === 'on';
    if (mode === 'off') this.note('optimal', 0);
  }

  /** Puts sound rules in the place of those of the same name; their counts go on. */
  setRules(rules: Readonly<Record<string, ShedRule>>): void {
    for (const [name, rule] of Object.entries(rules)) {
      const point = this.#points.get(name);
      if (point === undefined) this.#add(name, rule);
      else point.setRule(rule, this.#rank, this.#ratio);
    }
  }

  /** In the order in which they were configured or first asked. */
  rows(): ShedRow[] {
    return this.#all.map(({ name, asked, shed }) => ({ point: name, asked, shed }));
  }

  #meet(point: unknown): Point {
    if (typeof point === 'string' && point.length <= LONGEST_NAME && this.#unknown < MAX_UNKNOWN) {
      this.#unknown++;
      return this.#add(point, DEFAULT_RULE);
    }
    this.#others ??= this.#add(undefined, DEFAULT_RULE);
    return this.#others;
  }

  #add(name: string | undefined, rule: ShedRule): Point {
    const point = new Point(name ?? OTHERS, rule);
    point.follow(this.#rank, this.#ratio);
    this.#all.push(point);
    if (name !== undefined) this.#points.set(name, point);
    return point;
  }
}

/** Passes a copy of sound rules through, throws `RangeError` for others. */
export function checkShedRules(given: Readonly<Record<string, ShedRule>>): Record<string, ShedRule> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidOption('shed', 'an object with a rule for each point', given);
  }
  return Object.fromEntries(Object.entries(given).map(([name, rule]) => [name, checkRule(name, rule)]));
}

function checkRule(point: string, given: ShedRule): ShedRule {
  const name = `shed.${point}`;
  const rule = copyOptions(name, given, ['level', 'from', 'to'], 'an object like `{ level }` or `{ from, to }`');
  if (!('level' in rule)) checkRange(name, rule);
  else if ('from' in rule || 'to' in rule) throw invalidOption(name, 'either `{ level }` or `{ from, to }`', 'both');
  else checkOneOf(`${name}.level`, rule.level, PRESSURE_LEVELS);
  return rule;
}
