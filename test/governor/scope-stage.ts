import type { Consumer } from 'plimsoll';
import type { Scope, ScopeOptions } from '../../src/governor/contract.ts';
import { BareBooks, type BareOptions, settle, Watched } from './bare-books.ts';

/** Options of a scope that bounds nothing. */
export const free = { name: 'request', maxBytes: Number.POSITIVE_INFINITY };

/** Bare books, one consumer, and scopes that are watched. */
export class Stage {
  readonly books: BareBooks;
  readonly job: Consumer;

  constructor(options: BareOptions = {}) {
    this.books = new BareBooks(options);
    this.job = this.books.consumer('job');
  }

  run<T>(options: Partial<ScopeOptions>, fn: (scope: Scope) => T | Promise<T>): Watched<T> {
    return new Watched(this.books.scopes.run({ ...free, ...options }, fn));
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      await settle(20);
      this.books.clock.advance(Math.min(100, left));
    }
    await settle();
  }
}
