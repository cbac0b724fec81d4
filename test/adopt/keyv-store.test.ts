import { Keyv } from 'keyv';
import { type KeyvStore, keyvStore } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

function open(namespace?: string) {
  const { governor } = setUp();
  const store = keyvStore(governor, { name: 'sessions', maxBytes: MIB });
  const keyv = new Keyv({ store, ...(namespace !== undefined && { namespace }) });
  const errors: unknown[] = [];
  keyv.on('error', (error) => errors.push(error));
  return { governor, store, keyv, errors };
}

const all = async (store: KeyvStore) => {
  const found: [string, unknown][] = [];
  for await (const entry of store.iterator()) found.push(entry);
  return found;
};

describe('Keyv on a store of ours', () => {
  it('sets, gets, has and deletes, with whatever JSON and Keyv can write', async () => {
    const { keyv, errors } = open();
    for (const value of ['text', 0, false, null, { a: [1, { b: 'c' }] }, Buffer.from('bytes'), '']) {
      expect(await keyv.set('key', value)).toBe(true);
      expect(await keyv.get('key')).toEqual(value);
      expect(await keyv.has('key')).toBe(true);
      expect(await keyv.delete('key')).toBe(true);
      expect(await keyv.delete('key')).toBe(false);
      expect(await keyv.get('key')).toBeUndefined();
      expect(await keyv.has('key')).toBe(false);
    }
    expect(errors).toEqual([]);
  });

  it('does many at once, in order', async () => {
    const { keyv } = open();
    const entries = ['a', 'b', 'c'].map((key) => ({ key, value: `value of ${key}` }));
    expect(await keyv.setMany(entries)).toEqual([true, true, true]);
    expect(await keyv.getMany(['c', 'nobody', 'a'])).toEqual(['value of c', undefined, 'value of a']);
    expect(await keyv.hasMany(['a', 'nobody'])).toEqual([true, false]);
    expect((await keyv.getManyRaw(['b']))[0]).toMatchObject({ value: 'value of b' });
    expect(await keyv.deleteMany(['a', 'nobody'])).toBe(false);
    expect(await keyv.deleteMany(['b', 'c'])).toBe(true);
    expect(await keyv.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, undefined]);
  });

  it('lets an entry go when its time is over, in Keyv and in the store', async () => {
    const { governor, clock } = setUp();
    const store = keyvStore(governor, { name: 'sessions', maxBytes: MIB, clock });
    const keyv = new Keyv({ store, ttl: 60_000 });
    await keyv.set('default', 'x');
    await keyv.set('short', 'x', 1_000);
    await keyv.set('for ever', 'x', 0);
    clock.advance(1_000);
    expect([await keyv.has('default'), await keyv.has('short')]).toEqual([true, false]);
    clock.advance(59_000);
    expect(await keyv.get('default')).toBeUndefined();
    expect(await keyv.get('for ever')).toBe('x');
    expect(store.stats.expired).toBe(2);
  });

  it('clears its own namespace, and iterates it', async () => {
    const { keyv, store } = open('users');
    await keyv.set('1', 'Ada');
    store.namespace = 'others';
    await store.set('1', 'Grace');
    await keyv.set('2', 'somewhere else');
    store.namespace = 'users';
    await keyv.clear();
    expect(await all(store)).toEqual([]);
    store.namespace = 'others';
    expect((await all(store)).map(([key]) => key)).toEqual(['1', 'users:2']);
    store.namespace = undefined;
    expect(await all(store)).toHaveLength(2);
    await store.clear();
    expect(store.stats.entryCount).toBe(0);
  });

  it('may be changed while it is iterated', async () => {
    const { store } = open();
    for (const key of ['a', 'b', 'c']) await store.set(key, key);
    const seen: string[] = [];
    for await (const [key] of store.iterator()) {
      seen.push(key);
      await store.get(key);
      await store.delete('b');
      await store.set('d', 'd');
    }
    expect(seen).toEqual(['a', 'c']);
  });

  it('says when it did not store, and stays within its bytes', async () => {
    const { keyv, store, governor } = open();
    expect(await keyv.set('large', 'x'.repeat(MIB))).toBe(false);
    expect(
      await keyv.setMany([
        { key: 'small', value: 'x' },
        { key: 'large', value: 'x'.repeat(MIB) },
      ]),
    ).toEqual([true, false]);
    for (let i = 0; i < 100; i++) await keyv.set(`${i}`, 'x'.repeat(50_000));
    expect(store.stats.bytes).toBeLessThanOrEqual(MIB);
    expect(governor.heldBytes).toBe(store.stats.bytes);
    expect(await keyv.get('99')).toHaveLength(50_000);
    await keyv.disconnect();
    expect(governor.heldBytes).toBe(0);
    expect(await keyv.set('a', 'b')).toBe(false);
  });

  it('goes on when the governor is broken', async () => {
    const { governor, breakIt } = breakable(setUp().governor);
    const keyv = new Keyv({ store: keyvStore(governor, { name: 'sessions', maxShare: 0.1 }) });
    await keyv.set('a', 'before');
    breakIt();
    expect(await keyv.get('a')).toBe('before');
    expect(await keyv.set('a', 'after')).toBe(true);
    expect(await keyv.get('a')).toBe('after');
    await keyv.clear();
    await keyv.disconnect();
  });

  it('takes sound options only', () => {
    expect(() => keyvStore(setUp().governor, { name: 'sessions' })).toThrow(/maxShare/);
  });
});
