/** A governor that was forgotten, or another thing in its place, is named when things are set up: nobody is left without a line and without a word. */
import { createServer } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Governor } from 'plimsoll';
import {
  adopt,
  adoptConcurrency,
  followLevel,
  governedDispatch,
  governedFetch,
  governedRun,
  keyvStore,
  nextCacheHandler,
  pgPoolSize,
} from 'plimsoll/adopt';
import { expressLine, honoLine, lineServer, politeRecycle, withLine } from 'plimsoll/http';
import { describe, expect, it } from 'vitest';
import { setUp } from '../governor/fake-meter.ts';

const bodies = { name: 'api', maxInFlightBytes: 1_000_000, maxBodyBytes: 100_000 };
const DOORS: Readonly<Record<string, (governor: Governor) => unknown>> = {
  adopt: (governor) => adopt(governor, new Map(), { name: 'cache' }),
  adoptConcurrency: (governor) => adoptConcurrency(governor, { concurrency: 4 }, {}),
  followLevel: (governor) => followLevel(governor, () => {}, { max: 4 }),
  governedDispatch: (governor) => governedDispatch(governor, bodies),
  governedFetch: (governor) => governedFetch(governor, bodies),
  governedRun: (governor) => governedRun(governor, { run: async () => 1 } as never, { name: 'pool', max: 2 }),
  keyvStore: (governor) => keyvStore(governor, { name: 'store', maxBytes: 1_000 }),
  nextCacheHandler: (governor) => nextCacheHandler(governor, { name: 'next', maxBytes: 1_000 }),
  pgPoolSize: (governor) => pgPoolSize(governor, { max: 4 }),
  expressLine: (governor) => expressLine(governor),
  honoLine: (governor) => honoLine(governor),
  lineServer: (governor) => lineServer(governor, createServer()),
  politeRecycle: (governor) => politeRecycle(governor),
  withLine: (governor) => withLine(governor, () => {}),
};

describe.each(Object.entries(DOORS))('%s', (_, open) => {
  it.each([
    ['nothing', undefined],
    ['an empty object', {}],
    ['options', { firstToGo: ['/report'] }],
    ['a word', 'governor'],
  ])('says so of %s', (_what, wrong) => {
    expect(() => open(wrong as unknown as Governor)).toThrow('Expected `governor` to be what `createGovernor()`');
  });
});

it('a value that may be weighed is what the cache gives, as TypeScript has it', () => {
  const users = new LRUCache<string, { readonly name: string }>({ max: 10 });
  users.set('a', { name: 'Ada' });
  using adopted = adopt(setUp().governor, users, {
    name: 'users',
    weigh: (user, key) => user.name.length + key.length,
  });
  expect(adopted.stats.bytes).toBe(4);
});
