import { settle } from '../simulation/virtual-clock.ts';
import { AT_REST, Service, type Spot } from './service.ts';

/** A way of going wrong. */
export interface Way {
  readonly how: string;
  fail(): unknown;
}

const throwing: readonly Way[] = [
  {
    how: 'throws',
    fail() {
      throw new Error('injected');
    },
  },
  {
    how: 'throws nothing',
    fail() {
      throw undefined;
    },
  },
];
const rejecting: Way = { how: 'rejects', fail: () => Promise.reject(new Error('injected')) };
const returning = (...values: readonly unknown[]): Way[] =>
  values.map((value) => ({ how: `gives ${String(value)}`, fail: () => value }));
const hanging: Way = { how: 'never settles', fail: () => new Promise(() => {}) };
const NO_BYTES = [Number.NaN, -1, undefined, 'much'];

export interface Injection {
  readonly spot: Spot;
  /** As the snapshot's faults name it. */
  readonly part: RegExp;
  readonly ways: readonly Way[];
  /**
   * True when what the service gets may be less than without the fault, for a while: what cannot be given back is not there to be had, and an
   * emergency is over when a meter says so.
   */
  readonly costsRoom: boolean;
  /** The first call at which a fault is named. Default 1. */
  readonly namedFrom?: number;
}

export const INJECTIONS: readonly Injection[] = [
  {
    spot: 'meter read',
    part: /^meter (heap|rss)$/,
    ways: [...throwing, rejecting, ...returning(...NO_BYTES, Number.POSITIVE_INFINITY)],
    costsRoom: true,
  },
  {
    spot: 'meter limit',
    part: /^meter (heap|rss)$/,
    ways: [...throwing, ...returning(...NO_BYTES, 0)],
    costsRoom: true,
  },
  { spot: 'collect', part: /^(collect|sample|collector|collection)$/, ways: [...throwing, rejecting], costsRoom: true },
  { spot: 'trigger', part: /^trigger$/, ways: [...throwing, rejecting], costsRoom: false },
  { spot: 'level listener', part: /^level listener$/, ways: [...throwing, rejecting], costsRoom: false },
  {
    spot: 'reclaimableBytes',
    part: /^reclaimer of cache$/,
    ways: [...throwing, rejecting, ...returning(...NO_BYTES)],
    costsRoom: true,
  },
  {
    spot: 'reclaimNow',
    part: /^reclaimer of cache$/,
    ways: [...throwing, rejecting, ...returning(...NO_BYTES)],
    costsRoom: true,
  },
  {
    spot: 'reclaim',
    part: /^reclaimer of cache$/,
    ways: [...throwing, rejecting, hanging, ...returning(...NO_BYTES)],
    costsRoom: true,
  },
  { spot: 'look for reclaimNow', part: /^reclaimer of cache$/, ways: throwing, costsRoom: true },
  // The first look is before the consumer has been opened.
  { spot: 'look for reclaim', part: /^reclaimer of cache$/, ways: throwing, costsRoom: true, namedFrom: 2 },
];

export interface InjectionReport {
  readonly spot: string;
  readonly how: string;
  /** Runs: each failed at one call, or from one call on. */
  readonly runs: number;
  /** What did not hold, in a line each. */
  readonly broken: readonly string[];
}

const MOST_CALLS = 5_000;
/** Of one way of failing. */
const MOST_BROKEN = 3;

/**
 * Runs the service again and again: the first call at the spot fails, then the second, and so on until there is no such call; and each time
 * also all from there on; beyond `eachUpTo` only some, because each call is like the ones before it. Holds the service against what must be so whatever fails.
 */
export async function failNth(
  { spot, part, ways, costsRoom, namedFrom = 1 }: Injection,
  eachUpTo = 8,
): Promise<InjectionReport[]> {
  const healthy = (await new Service((_, right) => right()).run()).outcomes.join();
  const reports: InjectionReport[] = [];
  for (const { how, fail } of ways) {
    const broken: string[] = [];
    let runs = 0;
    for (const lasting of [false, true]) {
      for (let nth = 1; nth <= MOST_CALLS; nth = nth < eachUpTo ? nth + 1 : Math.ceil(nth * 1.3)) {
        let calls = 0;
        const { outcomes, faults, error } = await serve((at, right) => {
          if (at !== spot) return right();
          calls++;
          return calls === nth || (lasting && calls > nth) ? (fail() as ReturnType<typeof right>) : right();
        });
        if (calls < nth) break;
        runs++;
        const where = `call ${nth}${lasting ? ' and all later' : ''}`;
        if (broken.length >= MOST_BROKEN) continue;
        if (error !== undefined) broken.push(`${where}: ${error}`);
        else if (!costsRoom) broken.push(...worse(outcomes, healthy).map((what) => `${where}: ${what}`));
        if (!outcomes.includes(`${AT_REST} granted`)) broken.push(`${where}: at rest the service is refused still`);
        if (nth >= namedFrom && !faults.some((name) => part.test(name)))
          broken.push(`${where}: no fault is named, but ${faults.join() || 'none'}`);
      }
    }
    reports.push({ spot, how, runs, broken });
  }
  return reports;
}

/** What the service got less of than without the fault. More is no harm: what fails, fails open. */
function worse(outcomes: string, healthy: string): string[] {
  const got = outcomes.split(',');
  const due = healthy.split(',');
  if (got.length !== due.length) return [`the service came to ${got.length} of ${due.length} calls`];
  return due.flatMap((outcome, i) => {
    return outcome === got[i] || got[i]!.endsWith(' granted')
      ? []
      : [`call ${i + 1} of the service: ${got[i]}, not ${outcome}`];
  });
}

export interface Run {
  readonly outcomes: string;
  /** Parts that the snapshot's faults name. */
  readonly faults: readonly string[];
  /** The snapshot as JSON. */
  readonly snapshot: string;
  /** Whatever came out that has no code, or was left unhandled, or held, or a timer that stayed. */
  readonly error: string | undefined;
}

/** One run of the service. */
export async function serve(...service: ConstructorParameters<typeof Service>): Promise<Run> {
  const errors: string[] = [];
  const note = (what: string) => (cause: unknown) => void errors.push(`${what}: ${(cause as Error)?.stack ?? cause}`);
  const onRejection = note('unhandled rejection');
  process.on('unhandledRejection', onRejection);
  let one: Service | undefined;
  let faults: string[] = [];
  let snapshot = '';
  try {
    one = new Service(...service);
    await one.run();
    const picture = one.governor.snapshot();
    faults = picture.faults.map((fault) => fault.part);
    snapshot = JSON.stringify(picture);
  } catch (cause) {
    note('thrown')(cause);
  }
  try {
    one?.end();
    await settle();
    if (one !== undefined && one.clock.pending > 0) errors.push(`${one.clock.pending} timers are left`);
    if (one !== undefined && one.governor.heldBytes > 0) errors.push(`${one.governor.heldBytes} bytes are left`);
  } catch (cause) {
    note('thrown at the end')(cause);
  }
  process.off('unhandledRejection', onRejection);
  return { outcomes: one?.outcomes.join() ?? '', faults, snapshot, error: errors[0] };
}
