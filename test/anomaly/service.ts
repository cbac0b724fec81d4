import { createGovernor, type Governor, type GovernorOptions, type MeterName, type Reclaimer } from 'plimsoll';
import { settle, VirtualClock } from '../simulation/virtual-clock.ts';

const KIB = 1_024;
export const SERVICE_LIMIT = 100 * KIB;
/** A request when the machine is at rest again: granted, whatever failed before. */
export const AT_REST = 'tryReserve at rest';

/** Where code of others, or of the system, is called from inside the governor. */
export type Spot =
  | 'meter read'
  | 'meter limit'
  | 'collect'
  | 'level listener'
  | 'trigger'
  | 'reclaimableBytes'
  | 'reclaimNow'
  | 'reclaim'
  | 'look for reclaimNow'
  | 'look for reclaim';

/** Calls `right`, or does something wrong instead. */
export type Through = <T>(spot: Spot, right: () => T) => T;

export interface Served {
  /** What each call of the service came to: `granted`, `refused` or a code. */
  readonly outcomes: readonly string[];
  readonly governor: Governor;
}

/**
 * A small service that calls everything the governor has, on a machine that fills up and empties. All that the governor calls goes through
 * `through`. Anything that is thrown and has no code goes up.
 */
export class Service {
  readonly governor: Governor;
  readonly clock: VirtualClock;
  readonly outcomes: string[] = [];
  /** What the meters read. */
  usedBytes = 10 * KIB;
  readonly #through: Through;

  constructor(through: Through, options: GovernorOptions = {}, clock = new VirtualClock()) {
    this.#through = through;
    this.clock = clock;
    this.governor = createGovernor({
      limitBytes: SERVICE_LIMIT,
      runtimeBytes: 0,
      clock,
      meters: [this.#meter('heap'), this.#meter('rss')],
      mode: 'on',
      root: '/nowhere',
      sampleEveryBytes: 1,
      strategy: 'aggressive',
      trim: false,
      terminationLog: false,
      collect: () => through('collect', () => void (this.usedBytes = Math.min(this.usedBytes, 80 * KIB))),
      ...options,
    });
  }

  async run(): Promise<this> {
    const { governor, clock } = this;
    governor.onLevel(() => this.#through('level listener', () => undefined));
    governor.when({ level: 'high' }, () => this.#through('trigger', () => undefined));
    governor.when({ from: 0.3, to: 0.9 }, () => this.#through('trigger', () => undefined));
    const whole = { kind: 'heap', maxBytes: Number.POSITIVE_INFINITY } as const;
    using cache = governor.consumer({ ...whole, name: 'cache', reclaimer: this.#cacheReclaimer() });
    using feed = governor.consumer({ ...whole, name: 'feed' });
    this.#cached = this.#try('reserve', () => cache.reserve(60 * KIB));
    const first = this.#try('reserve', () => feed.reserve(10 * KIB));
    this.#try('grow', () => first?.grow(5 * KIB));
    for (const percent of [20, 60, 75, 90, 97, 99, 99, 40]) {
      this.usedBytes = (SERVICE_LIMIT * percent) / 100;
      this.#try('sample', () => governor.sample());
      this.#try('shouldShed', () => void governor.shouldShed('http.accept'));
      const one = this.#try(percent === 40 ? AT_REST : 'tryReserve', () => feed.tryReserve(KIB));
      await clock.run(300);
      one?.[Symbol.dispose]();
    }
    await this.#crowd(feed);
    await this.#inScopes(feed);
    this.#try('tune', () => governor.tune({ limitBytes: SERVICE_LIMIT - KIB }));
    this.#try('snapshot', () => JSON.stringify(governor.snapshot()));
    this.#try('history', () => governor.history());
    first?.[Symbol.dispose]();
    this.#cached?.[Symbol.dispose]();
    await clock.run(60_000);
    return this;
  }

  /** The end, after which no timer is left. */
  end(): void {
    this.governor[Symbol.dispose]();
  }

  #cached: (Disposable & { readonly bytes: number; shrink(bytes: number): void }) | undefined;

  /** More than there is room for: some wait, some are refused. */
  async #crowd(feed: ReturnType<Governor['consumer']>): Promise<void> {
    const { clock } = this;
    const waits = [30, 40, 50].map((kib) => feed.admit(kib * KIB, { timeoutMs: 1_000 }));
    const codes = waits.map((wait) =>
      wait.then(
        (granted) => {
          granted[Symbol.dispose]();
          return 'granted';
        },
        (error) => codeOf(error),
      ),
    );
    const big = this.#try('tryReserve', () => feed.tryReserve(90 * KIB));
    this.#try('reserve', () => feed.reserve(200 * KIB));
    await clock.run(2_500);
    big?.[Symbol.dispose]();
    for (const code of await Promise.all(codes)) this.outcomes.push(`admit ${code}`);
    await settle();
  }

  async #inScopes(feed: ReturnType<Governor['consumer']>): Promise<void> {
    const options = { name: 'request', maxBytes: 20 * KIB, upFrontBytes: 10 * KIB, timeoutMs: 500 };
    const work = this.governor.scope(options, async () => {
      using one = this.#try('tryReserve', () => feed.tryReserve(5 * KIB));
      await settle();
      this.#try('tryReserve', () => feed.tryReserve(30 * KIB));
      return one?.bytes;
    });
    const done = work.then(
      () => 'granted',
      (error) => codeOf(error),
    );
    await this.clock.run(1_000);
    this.outcomes.push(`scope ${await done}`);
    const train = this.governor.reclaim({ targetBytes: KIB });
    await this.clock.run(5_000);
    this.outcomes.push(`reclaim ${typeof (await train).seenBytes}`);
  }

  #try<T>(verb: string, call: () => T): T | undefined {
    try {
      const result = call();
      this.outcomes.push(`${verb} ${result === undefined && verb.startsWith('tryReserve') ? 'refused' : 'granted'}`);
      return result;
    } catch (error) {
      this.outcomes.push(`${verb} ${codeOf(error)}`);
      return undefined;
    }
  }

  #meter(name: MeterName) {
    const through = this.#through;
    return {
      name,
      get limitBytes() {
        return through('meter limit', () => SERVICE_LIMIT);
      },
      read: () => through('meter read', () => this.usedBytes),
    };
  }

  #cacheReclaimer(): Reclaimer {
    const through = this.#through;
    const giveBack = (targetBytes: number) => {
      const bytes = Math.min(targetBytes, this.#cached?.bytes ?? 0);
      this.#cached?.shrink(bytes);
      return bytes;
    };
    return {
      reclaimableBytes: () => through('reclaimableBytes', () => this.#cached?.bytes ?? 0),
      get reclaimNow() {
        const half = ({ targetBytes }: { targetBytes: number }) =>
          through('reclaimNow', () => giveBack(Math.ceil(targetBytes / 2)));
        return through('look for reclaimNow', () => half);
      },
      get reclaim() {
        const whole = ({ targetBytes }: { targetBytes: number }) =>
          through('reclaim', () => Promise.resolve().then(() => giveBack(targetBytes)));
        return through('look for reclaim', () => whole);
      },
    };
  }
}

/** The code of an error; one without is thrown on: that is what must not happen. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code === 'string' && code.startsWith('PLIMSOLL_')) return code;
  throw error;
}
