import { afterEach, expect, it } from 'vitest';
import { begin } from '../../src/auto/begin.ts';

const SLOT = Symbol.for('plimsoll.governor.v1');
const slots = globalThis as Record<symbol, unknown>;

afterEach(() => {
  delete slots[SLOT];
});

it('begins nothing when it is off and nothing could switch it on', () => {
  expect(begin({ PLIMSOLL: ' Off ' })).toBeUndefined();
  expect(slots[SLOT]).toBeUndefined();
});

it('begins what can be switched on later', () => {
  using auto = begin({ PLIMSOLL: 'off', PLIMSOLL_CONTROL: '/nowhere/control', PLIMSOLL_LOG: 'off' });
  expect(auto?.governor.mode).toBe('off');
});

it('leaves the program alone when it cannot begin', () => {
  const env = {
    PLIMSOLL_LOG: 'off',
    get PLIMSOLL_SHARE(): string {
      throw new Error('broken on purpose');
    },
  };
  expect(begin(env)).toBeUndefined();
  expect(slots[SLOT]).toBeUndefined();
});
