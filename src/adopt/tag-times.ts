import type { Clock } from '../clock.ts';

/** Of one tag, milliseconds since 1970. */
interface TagTime {
  /** What was made up to then must not be served any more. */
  readonly expiredAt: number;
  /** What was made up to then is out of date, and must not be served from `expiresAt` on. */
  readonly staleAt: number;
  readonly expiresAt: number;
}

/** What its tags make of an entry: one that is `stale` may be served while it is made anew. */
export type TagState = 'fresh' | 'stale' | 'expired';

const UNTOUCHED: TagTime = {
  expiredAt: Number.NEGATIVE_INFINITY,
  staleAt: Number.NEGATIVE_INFINITY,
  expiresAt: Number.POSITIVE_INFINITY,
};

/**
 * When tags were revalidated. Keeps at most `maxTags`: for one more, the one revalidated longest ago is forgotten, and whatever was made before that counts as
 * expired, with any tags or none, so that nothing is ever served that should not be.
 */
export class TagTimes {
  readonly #clock: Clock;
  readonly #maxTags: number;
  /** Longest ago first. */
  readonly #tags = new Map<string, TagTime>();
  #forgottenAt = Number.NEGATIVE_INFINITY;
  /** What the clock's own time is counted from, milliseconds since 1970. */
  #origin: number;

  constructor({ clock, maxTags }: { readonly clock: Clock; readonly maxTags: number }) {
    this.#clock = clock;
    this.#maxTags = maxTags;
    this.#origin = clock.wall() - clock.now();
  }

  get size(): number {
    return this.#tags.size;
  }

  /** Milliseconds since 1970 that never go back, whatever becomes of the wall clock: as Next.js stamps its entries. */
  now(): number {
    return this.#origin + this.#clock.now();
  }

  /** Something was made at that time by the clock of others, which this one must not be behind: otherwise what is revalidated now would seem older than it. */
  noteTime(madeAt: number): void {
    const ahead = madeAt - this.now();
    if (ahead > 0 && ahead < Number.POSITIVE_INFINITY) this.#origin += ahead;
  }

  /** Without `durations` what carries the tags is expired; with them it is stale, and expired after `expire` seconds, if there are any. */
  revalidate(tags: Iterable<string>, durations?: { readonly expire?: number | undefined }): void {
    const now = this.now();
    for (const tag of tags) {
      const before = this.#tags.get(tag) ?? UNTOUCHED;
      this.#tags.delete(tag);
      this.#tags.set(tag, durations ? outdated(before, now, durations.expire) : { ...UNTOUCHED, expiredAt: now });
    }
    for (const [tag, { staleAt, expiredAt }] of this.#tags) {
      if (this.#tags.size <= this.#maxTags) break;
      this.#tags.delete(tag);
      this.#forgottenAt = Math.max(this.#forgottenAt, staleAt, expiredAt);
    }
  }

  /** Of what was made at `madeAt`, by `now`, and carries `tags`. */
  state(tags: Iterable<string>, madeAt: number): TagState {
    if (madeAt <= this.#forgottenAt) return 'expired';
    const now = this.now();
    let state: TagState = 'fresh';
    for (const tag of tags) {
      const { expiredAt, staleAt, expiresAt } = this.#tags.get(tag) ?? UNTOUCHED;
      if (expiredAt >= madeAt) return 'expired';
      if (staleAt < madeAt) continue;
      if (expiresAt <= now) return 'expired';
      state = 'stale';
    }
    return state;
  }
}

/** What was to expire still does, and no later. */
function outdated(before: TagTime, now: number, expireSeconds: number | undefined): TagTime {
  const isOver = before.expiresAt <= now;
  const expiresAt = typeof expireSeconds === 'number' ? now + expireSeconds * 1000 : Number.POSITIVE_INFINITY;
  return {
    expiredAt: isOver ? Math.max(before.expiredAt, before.staleAt) : before.expiredAt,
    staleAt: now,
    expiresAt: isOver ? expiresAt : Math.min(before.expiresAt, expiresAt),
  };
}
