import { Cacheable } from 'cacheable';
import { Keyv } from 'keyv';
import { keyvStore } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

describe('cacheable on a store of ours', () => {
  it('as its primary: what it promises, within the bytes', async () => {
    const { governor } = setUp();
    const store = keyvStore(governor, { name: 'answers', maxBytes: MIB });
    const cache = new Cacheable({ primary: store, namespace: 'api', tags: true });
    const errors: unknown[] = [];
    cache.on('error', (error) => errors.push(error));

    await cache.set('a', { deep: [1, 2] }, { tags: ['odd'] });
    expect(await cache.get('a')).toEqual({ deep: [1, 2] });
    expect(await cache.getOrSet('b', async () => 'made')).toBe('made');
    expect(await cache.getOrSet('b', async () => 'made again')).toBe('made');
    expect(await cache.has('b')).toBe(true);
    await cache.setMany([
      { key: 'c', value: 1 },
      { key: 'd', value: 2 },
    ]);
    expect(await cache.getMany(['c', 'd', 'e'])).toEqual([1, 2, undefined]);
    expect(await cache.take('c')).toBe(1);
    expect(await cache.get('c')).toBeUndefined();
    await cache.tags.invalidateTag('odd');
    expect(await cache.get('a')).toBeUndefined();

    for (let i = 0; i < 100; i++) await cache.set(`page ${i}`, 'x'.repeat(50_000));
    expect(store.stats.bytes).toBeLessThanOrEqual(MIB);
    expect(governor.heldBytes).toBe(store.stats.bytes);
    await cache.clear();
    expect(await cache.get('page 99')).toBeUndefined();
    expect(store.stats.entryCount).toBe(0);
    await cache.disconnect();
    expect(governor.heldBytes).toBe(0);
    expect(errors).toEqual([]);
  });

  it('as its primary without serialization: values are kept as they are, and weighed', async () => {
    const { governor } = setUp();
    const store = keyvStore(governor, { name: 'answers', maxBytes: MIB });
    const primary = new Keyv({ store });
    primary.serialize = primary.deserialize = undefined;
    const cache = new Cacheable({ primary });
    const page = { body: Buffer.alloc(100_000) };
    await cache.set('page', page);
    expect(await cache.get('page')).toBe(page);
    expect(store.stats.externalBytes).toBe(100_000);
  });

  it('as its secondary: fills the primary again', async () => {
    const { governor } = setUp();
    const store = keyvStore(governor, { name: 'second', maxShare: 0.1 });
    const cache = new Cacheable({ secondary: store, ttl: '1h' });
    await cache.set('a', 'kept');
    await cache.primary.clear();
    expect(await cache.get('a')).toBe('kept');
    expect(await cache.primary.get('a')).toBe('kept');
    expect(store.stats.entryCount).toBe(1);
  });
});
