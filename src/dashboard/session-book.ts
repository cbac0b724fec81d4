import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';

const MOST_SESSIONS = 64;
const LIFE_MS = 12 * 3_600_000;
const ID_BYTES = 32;

/** Who has shown the token: at most 64 browsers, twelve hours each; the oldest is forgotten first. Ids are kept as digests only. */
export class SessionBook {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A new id, for a cookie. */
  open(): string {
    const id = randomBytes(ID_BYTES).toString('base64url');
    if (this.#until.size >= MOST_SESSIONS) {
      for (const oldest of this.#until.keys()) {
        this.#until.delete(oldest);
        break;
      }
    }
    this.#until.set(digestOf(id), this.#clock.now() + LIFE_MS);
    return id;
  }

  isOpen(id: string): boolean {
    const digest = digestOf(id);
    const until = this.#until.get(digest);
    if (until === undefined) return false;
    if (until > this.#clock.now()) return true;
    this.#until.delete(digest);
    return false;
  }

  close(id: string): void {
    this.#until.delete(digestOf(id));
  }

  clear(): void {
    this.#until.clear();
  }
}

/** By digest nobody learns an id from how long a look-up takes. */
function digestOf(id: string): string {
  return createHash('sha256').update(id).digest('base64');
}
