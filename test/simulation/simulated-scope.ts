import type { Scope, ScopeOptions } from '../../src/governor/contract.ts';
import type { World } from './world.ts';

/** What the work of a scope fails with now and then. */
const FAILED = Object.assign(new Error('the work failed'), { code: 'FAILED' });

/** Work in a scope: it does one thing after the other as it is told, and the simulation keeps the scope's books a second time. */
export class SimulatedScope {
  readonly name: string;
  readonly maxBytes: number;
  readonly outer: SimulatedScope | undefined;
  readonly abort = new AbortController();
  /** As the governor gives it, once the work has begun. */
  scope: Scope | undefined;
  ended = false;
  #pot = 0;
  #blurred = false;
  readonly #acts: (() => void)[] = [];
  #go: (() => void) | undefined;
  #finishing: 'returns' | 'throws' | undefined;

  constructor(name: string, maxBytes: number, outer: SimulatedScope | undefined) {
    this.name = name;
    this.maxBytes = maxBytes;
    this.outer = outer;
  }

  get failed(): boolean {
    return (
      this.abort.signal.aborted ||
      this.scope?.signal.aborted === true ||
      (this.outer?.ended === false && this.outer.failed)
    );
  }

  /** The scope itself, or the nearest around it that has not ended. */
  get live(): SimulatedScope | undefined {
    return this.ended ? this.outer?.live : this;
  }

  /** Declared up front and not used. */
  get potBytes(): number {
    return this.ended || this.failed ? 0 : this.#pot;
  }

  isWithin(other: SimulatedScope): boolean {
    for (let at: SimulatedScope | undefined = this; at !== undefined; at = at.outer) if (at === other) return true;
    return false;
  }

  /** The pots on the way out pay what they can. */
  draw(bytes: number): void {
    const drawn = Math.min(bytes, this.potBytes);
    this.#pot -= drawn;
    this.outer?.live?.draw(bytes - drawn);
  }

  /** It, or one inside it, was granted something that was written off before anybody heard of it: what the pots paid for that is not known. */
  blur(): void {
    this.#blurred = true;
    this.outer?.live?.blur();
  }

  /** Takes the pot for what is left of `heldBytes`; false when that cannot be. */
  focus(heldBytes: number): boolean {
    if (!this.#blurred) return true;
    this.#blurred = false;
    const before = this.#pot;
    this.#pot = heldBytes;
    return this.#pot >= 0 && this.#pot <= before;
  }

  /** Has it do something inside. */
  post(act: () => void): void {
    this.#acts.push(act);
    this.#go?.();
  }

  finish(how: 'returns' | 'throws'): void {
    this.#finishing ??= how;
    this.#go?.();
  }

  /** The work itself. */
  async work(world: World, scope: Scope, upFrontBytes: number): Promise<void> {
    this.scope = scope;
    this.#pot = upFrontBytes;
    // What is declared inside is part of what was declared around it.
    this.outer?.live?.draw(upFrontBytes);
    for (;;) {
      const act = this.#acts.shift();
      if (act !== undefined) world.within(this, act);
      else if (this.#finishing === 'throws') throw FAILED;
      else if (this.#finishing === 'returns') return;
      else await new Promise<void>((resolve) => (this.#go = resolve));
    }
  }
}

/** Runs `fn` in a scope of the governor's. */
export type RunInScope = (options: ScopeOptions, fn: (scope: Scope) => Promise<void>) => Promise<void>;
