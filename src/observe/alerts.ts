/**
 * Inside: an evaluation reads every rule before it tells of any, so that what an action or a listener does, evaluating again included, meets rules that stand.
 */
import { catchRejection, isThenable } from '../catch-rejection.ts';
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { DisposedError } from '../errors.ts';
import { type AlertEvent, alertEvents } from '../events.ts';
import type { Snapshot } from '../governor/index.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { shortText } from '../short-text.ts';
import { type AlertReading, type AlertRule, checkAlertRule, defaultAlertRules } from './alert-rules.ts';
import { type AlertPhase, AlertState } from './alert-state.ts';
import { hearChannels } from './channel-events.ts';
import { COUNTED_CHANNELS, EventTally } from './event-tally.ts';
import { GrowthWatch } from './growth-watch.ts';
import type { NewMonitorEvent } from './monitor-events.ts';
import { checkSource, type SnapshotSource } from './snapshot-source.ts';

/** Called for each alert that is raised or cleared. */
export type AlertAction = (alert: AlertEvent) => unknown;

export interface AlertsOptions {
  /** Asked for a snapshot every `everyMs`: a governor. Default none: `evaluate` is called by hand. */
  readonly source?: SnapshotSource;
  /** ms, 1 up. Default 5,000. */
  readonly everyMs?: number;
  /** At most 100, each with a name of its own. Default `defaultAlertRules()`. */
  readonly rules?: readonly AlertRule[];
  /** How far back failures and slow acquisitions count, ms, 10 up. Default 600,000. */
  readonly windowMs?: number;
  /** At most 100. Default none. */
  readonly actions?: readonly AlertAction[];
  /** Whether what the library publishes counts; `note` does either way. Default true. */
  readonly channels?: boolean;
  readonly clock?: Clock;
}

/** How a rule stands. Plain data. */
export interface AlertRow {
  readonly rule: string;
  readonly severity: string;
  readonly phase: AlertPhase;
  /** At the last evaluation; absent where there was nothing to say. */
  readonly value?: number;
  readonly unit: string;
  readonly raiseAt: number;
  readonly clearAt: number;
  readonly message: string;
  /** How often it was raised, and when last, milliseconds since 1970. */
  readonly raises: number;
  readonly raisedAt?: number;
  /** How often its `value` threw or gave no number. */
  readonly faults: number;
}

export interface AlertsStats {
  readonly evaluations: number;
  /** Snapshots that could not be taken. */
  readonly snapshotFailures: number;
  /** Actions that threw or rejected, and those not called because 16 calls had not ended. */
  readonly actionFailures: number;
  readonly actionsSkipped: number;
  readonly lastFailure?: string;
}

export const ALERTS_DEFAULTS = { everyMs: 5_000, windowMs: 600_000, channels: true } as const;

const OPTIONS = ['source', 'everyMs', 'rules', 'windowMs', 'actions', 'channels', 'clock'] as const;
const MOST = 100;
const MOST_UNDER_WAY = 16;

type Resolved = Required<Omit<AlertsOptions, 'source'>> & Pick<AlertsOptions, 'source'>;

function checkAlertsOptions(given: AlertsOptions): Resolved {
  const options = copyOptions('Alerts', given, OPTIONS);
  const { source, actions = [], channels = ALERTS_DEFAULTS.channels, clock = systemClock } = options;
  const { rules = defaultAlertRules() } = options;
  checkSource(source);
  if (!Array.isArray(actions) || actions.length > MOST || actions.some((each) => typeof each !== 'function')) {
    throw invalidOption('actions', `a list of at most ${MOST} functions`, actions);
  }
  if (!Array.isArray(rules) || rules.length > MOST) {
    throw invalidOption('rules', `a list of at most ${MOST} rules`, rules);
  }
  const names = new Set(rules.map((rule) => checkAlertRule(rule).name));
  if (names.size < rules.length) throw invalidOption('rules', 'rules with a name of their own', [...names].join(', '));
  if (typeof channels !== 'boolean') throw invalidOption('channels', 'true or false', channels);
  if (typeof clock?.after !== 'function') throw invalidOption('clock', 'a clock', clock);
  return {
    ...(source === undefined ? {} : { source }),
    everyMs: checkWhole('everyMs', options.everyMs ?? ALERTS_DEFAULTS.everyMs, 1, LONGEST_MS),
    windowMs: checkWhole('windowMs', options.windowMs ?? ALERTS_DEFAULTS.windowMs, 10),
    rules: [...rules],
    actions: [...actions],
    channels,
    clock,
  };
}

/** One rule and how it stands. */
class WatchedRule {
  readonly rule: AlertRule;
  readonly #state: AlertState;
  #value: number | undefined;
  #raises = 0;
  #raisedAt: number | undefined;
  #faults = 0;

  constructor(rule: AlertRule) {
    this.rule = rule;
    this.#state = new AlertState(rule);
  }

  /** The alert, where this reading changed something. */
  update(reading: AlertReading, now: number, at: number): AlertEvent | undefined {
    this.#value = this.#read(reading);
    const state = this.#state.update(this.#value, now);
    if (state === undefined || this.#value === undefined) return undefined;
    if (state === 'raised') {
      this.#raises++;
      this.#raisedAt = at;
    }
    const { name, severity, raiseAt, clearAt, unit, message } = this.rule;
    return { rule: name, severity, state, value: this.#value, raiseAt, clearAt, unit, message, at };
  }

  row(): AlertRow {
    const { name, severity, unit, raiseAt, clearAt, message } = this.rule;
    const { phase } = this.#state;
    const counts = { raises: this.#raises, faults: this.#faults };
    return {
      ...{ rule: name, severity, phase, unit, raiseAt, clearAt, message, ...counts },
      ...(this.#value === undefined ? {} : { value: this.#value }),
      ...(this.#raisedAt === undefined ? {} : { raisedAt: this.#raisedAt }),
    };
  }

  #read(reading: AlertReading): number | undefined {
    try {
      const value = this.rule.value(reading);
      if (value === undefined || Number.isFinite(value)) return value;
    } catch {
      // Counted with those that are no number.
    }
    this.#faults++;
    return undefined;
  }
}

/**
 * Rules over snapshots and events. Each is raised when it has read so for long enough and cleared when it has read well again; both are published as `plimsoll:alert`
 * and told to the actions. Nothing that a rule or an action throws, or rejects with, gets out. Whoever made it disposes it.
 * @example
 * import { createGovernor } from 'plimsoll';
 * import { Alerts } from 'plimsoll/observe';
 * const governor = createGovernor();
 * const alerts = new Alerts({ source: governor, actions: [(alert) => console.log(alert.rule, alert.state)] });
 */
export class Alerts implements Disposable {
  readonly #options: Resolved;
  readonly #rules: readonly WatchedRule[];
  readonly #tally: EventTally;
  readonly #growth = new GrowthWatch();
  readonly #heard: Disposable | undefined;
  #timer: Disposable | undefined;
  #previous: Snapshot | undefined;
  #evaluations = 0;
  #snapshotFailures = 0;
  #actionFailures = 0;
  #actionsSkipped = 0;
  #underWay = 0;
  #lastFailure: string | undefined;
  #disposed = false;

  constructor(options: AlertsOptions = {}) {
    this.#options = checkAlertsOptions(options);
    this.#rules = this.#options.rules.map((rule) => new WatchedRule(rule));
    this.#tally = new EventTally(this.#options.windowMs);
    if (this.#options.channels) this.#heard = hearChannels((event) => this.note(event), COUNTED_CHANNELS);
    this.#arm();
  }

  /** Counts an event that the library did not publish: a run that is completed, a failed cleanup. Never throws; after disposing it does nothing. */
  note(event: NewMonitorEvent): void {
    if (this.#disposed) return;
    try {
      this.#tally.add(event, this.#options.clock.now());
    } catch {
      // No event, then.
    }
  }

  /** Reads every rule and gives what was raised or cleared. Throws `PLIMSOLL_DISPOSED`. */
  evaluate(snapshot: Snapshot): readonly AlertEvent[] {
    if (this.#disposed) throw new DisposedError('The alerts');
    const { clock } = this.#options;
    const now = clock.now();
    const at = clock.wall();
    const events = this.#tally.row(now);
    const growthBytes = this.#growth.update(snapshot, events.cleanups);
    const reading: AlertReading = {
      snapshot,
      events,
      ...(this.#previous === undefined ? {} : { previous: this.#previous }),
      ...(growthBytes === undefined ? {} : { growthBytes }),
    };
    const alerts = this.#rules.flatMap((rule) => rule.update(reading, now, at) ?? []);
    this.#previous = snapshot;
    this.#evaluations++;
    for (const alert of alerts) this.#tell(alert);
    return alerts;
  }

  /** One for each rule, in their order. */
  rows(): AlertRow[] {
    return this.#rules.map((rule) => rule.row());
  }

  get stats(): AlertsStats {
    return {
      evaluations: this.#evaluations,
      snapshotFailures: this.#snapshotFailures,
      actionFailures: this.#actionFailures,
      actionsSkipped: this.#actionsSkipped,
      ...(this.#lastFailure === undefined ? {} : { lastFailure: this.#lastFailure }),
    };
  }

  /** Evaluates and hears nothing more; what is raised stays so in the rows. Twice is once. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#heard?.[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
  }

  #arm(): void {
    const { source, clock, everyMs } = this.#options;
    if (source === undefined || this.#disposed) return;
    this.#timer = clock.after(everyMs, () => {
      let snapshot: Snapshot | undefined;
      try {
        snapshot = source.snapshot();
      } catch (cause) {
        this.#snapshotFailures++;
        this.#lastFailure = shortText(describeCause(cause));
      }
      this.#arm();
      if (snapshot !== undefined) this.evaluate(snapshot);
    });
  }

  #tell(alert: AlertEvent): void {
    if (alertEvents.heard) alertEvents.publish(alert);
    for (const action of this.#options.actions) {
      if (this.#underWay >= MOST_UNDER_WAY) this.#actionsSkipped++;
      else this.#act(action, alert);
    }
  }

  #act(action: AlertAction, alert: AlertEvent): void {
    const failed = (cause: unknown): void => {
      this.#actionFailures++;
      this.#lastFailure = shortText(describeCause(cause));
    };
    try {
      const result = action({ ...alert });
      if (!isThenable(result)) return;
      this.#underWay++;
      const whole = new Promise((resolve) => resolve(result)).finally(() => void this.#underWay--);
      catchRejection(whole, failed);
    } catch (cause) {
      failed(cause);
    }
  }
}
