import { nextCacheHandler, nextUseCacheHandler } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { TagTimes } from '../../src/adopt/tag-times.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

const page = (html: string, tags?: string) => ({
  kind: 'APP_PAGE',
  html,
  rscData: Buffer.alloc(10_000),
  headers: tags === undefined ? {} : { 'x-next-cache-tags': tags },
  postponed: undefined,
  status: 200,
  segmentData: new Map([['/_tree', Buffer.alloc(5_000)]]),
});
const answer = (body: string) => ({ kind: 'FETCH', data: { headers: {}, body, url: '', status: 200 }, revalidate: 60 });

function open(options: { maxBytes?: number; maxTags?: number } = {}) {
  const { governor, clock } = setUp();
  const Handler = nextCacheHandler(governor, { name: 'pages', maxBytes: MIB, clock, ...options });
  const now = () => clock.wall();
  return { governor, clock, Handler, now };
}

describe('pages', () => {
  it('are kept for all instances, with what Next asks back for', async () => {
    const { governor, Handler, now } = open();
    const value = page('<p>');
    await new Handler({}).set('/a', value, { cacheControl: { revalidate: 60, expire: 3600 } });
    expect(await new Handler().get('/a', { kind: 'APP_PAGE' })).toEqual({
      value,
      lastModified: now(),
      cacheControl: { revalidate: 60, expire: 3600 },
    });
    expect(await new Handler().get('/b', { kind: 'APP_PAGE' })).toBeNull();
    expect(Handler.stats.externalBytes).toBe(15_000);
    expect(governor.heldBytes).toBe(Handler.stats.bytes);
  });

  it('that are not found are kept as such', async () => {
    const { Handler } = open();
    await new Handler().set('/missing', null, {});
    expect(await new Handler().get('/missing', {})).toMatchObject({ value: null });
  });

  it('go when they expire', async () => {
    const { clock, Handler } = open();
    await new Handler().set('/a', page('<p>'), { cacheControl: { revalidate: 1, expire: 10 } });
    clock.advance(9_999);
    expect(await new Handler().get('/a')).not.toBeNull();
    clock.advance(1);
    expect(await new Handler().get('/a')).toBeNull();
  });

  it('stay within the bytes', async () => {
    const { governor, Handler } = open();
    const handler = new Handler();
    for (let i = 0; i < 200; i++) await handler.set(`/${i}`, page('x'.repeat(1000)), {});
    expect(Handler.stats.bytes).toBeLessThanOrEqual(MIB);
    expect(Handler.stats.evicted).toBeGreaterThan(100);
    expect(governor.heldBytes).toBe(Handler.stats.bytes);
    Handler[Symbol.dispose]();
    expect(governor.heldBytes).toBe(0);
  });
});

describe('a tag', () => {
  it('revalidated at once makes a miss of what was made before, and not of what is made after', async () => {
    const { clock, Handler } = open();
    const handler = new Handler();
    await handler.set('/a', page('old', '_N_T_/layout,posts'), {});
    await handler.set('/b', page('other', 'users'), {});
    clock.advance(1);
    await new Handler().revalidateTag('posts');
    expect(await handler.get('/a')).toBeNull();
    expect(await handler.get('/b')).not.toBeNull();
    clock.advance(1);
    await handler.set('/a', page('new', 'posts'), {});
    expect(await handler.get('/a')).toMatchObject({ value: { html: 'new' } });
  });

  it('of a fetch counts as it was set and as it is asked for', async () => {
    const { clock, Handler } = open();
    const handler = new Handler();
    for (const key of ['set', 'asked', 'soft']) await handler.set(key, answer('x'), { fetchCache: true, tags: [key] });
    clock.advance(1);
    await handler.revalidateTag(['set', 'a', 'b']);
    expect(await handler.get('set', { kind: 'FETCH' })).toBeNull();
    expect(await handler.get('asked', { kind: 'FETCH', tags: ['a'] })).toBeNull();
    expect(await handler.get('soft', { kind: 'FETCH', softTags: ['b'] })).toBeNull();
    expect(await handler.get('soft', { kind: 'FETCH' })).not.toBeNull();
    expect(await new Handler({ revalidatedTags: ['soft'] }).get('soft', { kind: 'FETCH' })).toBeNull();
  });

  it('revalidated with a profile has the entry served once more, as out of date', async () => {
    const { clock, Handler, now } = open();
    const handler = new Handler();
    await handler.set('timed', page('x', 'posts'), { cacheControl: { revalidate: 60, expire: 3600 } });
    await handler.set('lasting', page('x', 'posts'), { cacheControl: { revalidate: false } });
    await handler.set('fetch', answer('x'), { fetchCache: true, tags: ['posts'] });
    clock.advance(1);
    await handler.revalidateTag('posts', { expire: 300 });
    expect((await handler.get('timed'))!.lastModified).toBe(now() - 60_001);
    expect((await handler.get('fetch'))!.lastModified).toBe(now() - 60_001);
    expect((await handler.get('lasting'))!.lastModified).toBe(-1);
    clock.advance(300_000);
    expect(await handler.get('timed')).toBeNull();
  });
});

describe('times of tags', () => {
  const begin = (maxTags = 100) => {
    const { clock } = setUp();
    const times = new TagTimes({ clock, maxTags });
    const tick = () => {
      clock.advance(1);
      return times.now();
    };
    return { clock, times, tick };
  };

  it('what has expired stays so when the tag only goes stale later', () => {
    const { times, tick } = begin();
    const old = tick();
    tick();
    times.revalidate(['a']);
    const young = tick();
    tick();
    times.revalidate(['a'], { expire: 60 });
    expect(times.state(['a'], old)).toBe('expired');
    expect(times.state(['a'], young)).toBe('stale');
    expect(times.state(['b', 'a'], young)).toBe('stale');
    expect(times.state(['a'], tick())).toBe('fresh');
  });

  it('what is made anew meanwhile does not expire with the old', () => {
    const { clock, times, tick } = begin();
    const old = tick();
    times.revalidate(['a'], { expire: 1 });
    const anew = tick();
    clock.advance(1_000);
    expect(times.state(['a'], old)).toBe('expired');
    expect(times.state(['a'], anew)).toBe('fresh');
    times.revalidate(['a'], { expire: 1 });
    expect(times.state(['a'], old)).toBe('expired');
    expect(times.state(['a'], anew)).toBe('stale');
  });

  it('no end means stale for ever, 0 means now', () => {
    const { clock, times, tick } = begin();
    const old = tick();
    times.revalidate(['a'], {});
    times.revalidate(['b'], { expire: 0 });
    clock.advance(1e6);
    expect(times.state(['a'], old)).toBe('stale');
    expect(times.state(['b'], old)).toBe('expired');
  });

  it('are never behind what others made by a clock that is ahead', () => {
    const { clock, times } = begin();
    const madeAt = clock.wall() + 5_000;
    times.noteTime(madeAt);
    clock.advance(1);
    times.revalidate(['a']);
    expect(times.state(['a'], madeAt)).toBe('expired');
    times.noteTime(0);
    times.noteTime(Number.NaN);
    times.noteTime(Number.POSITIVE_INFINITY);
    expect(times.now()).toBe(madeAt + 1);
  });

  it('past the most that are remembered, whatever is older than the forgotten expires', () => {
    const { times, tick } = begin(2);
    const old = tick();
    times.revalidate(['a']);
    const middle = tick();
    times.revalidate(['b']);
    expect(times.state(['z'], old)).toBe('fresh');
    times.revalidate(['c']);
    expect(times.size).toBe(2);
    expect(times.state(['z'], old)).toBe('expired');
    expect(times.state(['z'], middle)).toBe('fresh');
    expect(times.state(['b'], middle)).toBe('expired');
    expect(times.state([], tick())).toBe('fresh');
  });
});

const streamOf = (...chunks: (string | Error)[]) =>
  new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else if (chunk instanceof Error) controller.error(chunk);
      else controller.enqueue(Buffer.from(chunk));
    },
  });

describe('use cache', () => {
  function begin(maxBytes = MIB) {
    const { governor, clock } = setUp();
    const handler = nextUseCacheHandler(governor, { name: 'use cache', maxBytes, clock });
    const entry = (value: ReadableStream<Uint8Array>, more: object = {}) => ({
      value,
      tags: ['posts'],
      stale: 30,
      timestamp: clock.wall(),
      expire: 3600,
      revalidate: 60,
      ...more,
    });
    const read = async (key: string, softTags: string[] = []) => {
      const found = await handler.get(key, softTags);
      return found && { ...found, value: await new Response(found.value).text() };
    };
    return { governor, clock, handler, entry, read };
  }

  it('gives a new stream at each get, with what came with the entry', async () => {
    const { governor, handler, entry, read } = begin();
    const { value: _, ...rest } = entry(streamOf());
    await handler.set('a', Promise.resolve(entry(streamOf('one ', 'two'))));
    expect(await read('a')).toEqual({ ...rest, value: 'one two' });
    expect(await read('a')).toEqual({ ...rest, value: 'one two' });
    expect(await read('b')).toBeUndefined();
    expect(handler.stats.externalBytes).toBe(7);
    handler[Symbol.dispose]();
    expect(governor.heldBytes).toBe(0);
  });

  it('waits for an entry that is being made', async () => {
    const { handler, entry, read } = begin();
    const made = Promise.withResolvers<ReturnType<typeof entry>>();
    const setting = handler.set('a', made.promise);
    const asked = read('a');
    made.resolve(entry(streamOf('done')));
    expect((await asked)!.value).toBe('done');
    await setting;
  });

  it('keeps nothing of what breaks off, is too long, or is not to be kept', async () => {
    const { handler, entry, read, clock } = begin(80_000);
    await handler.set('broken', Promise.resolve(entry(streamOf('half', new Error('gone')))));
    await handler.set('failed', Promise.reject(new Error('never made')));
    let pulls = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulls++;
        controller.enqueue(new Uint8Array(1000));
      },
    });
    await handler.set('endless', Promise.resolve(entry(endless)));
    expect(pulls).toBeLessThan(15);
    await handler.set('dynamic', Promise.resolve(entry(streamOf('x'), { expire: 0 })));
    for (const key of ['broken', 'failed', 'endless', 'dynamic']) expect(await read(key)).toBeUndefined();
    await handler.set('a', Promise.resolve(entry(streamOf('x'), { expire: 10 })));
    clock.advance(10_000);
    expect(await read('a')).toBeUndefined();
    expect(handler.stats).toMatchObject({ entryCount: 0, bytes: 0 });
  });

  it('knows tags, and those of the path', async () => {
    const { clock, handler, entry, read } = begin();
    expect(await handler.getExpiration(['_N_T_/a'])).toBe(Number.POSITIVE_INFINITY);
    await handler.refreshTags();
    await handler.set('a', Promise.resolve(entry(streamOf('x'))));
    clock.advance(1);
    await handler.updateTags(['_N_T_/a']);
    expect(await read('a', ['_N_T_/a'])).toBeUndefined();
    expect(await read('a', [])).toBeDefined();
    await handler.updateTags(['posts'], { expire: 100 });
    expect((await read('a'))!.revalidate).toBe(-1);
    await handler.updateTags(['posts']);
    expect(await read('a')).toBeUndefined();
  });
});

it('both go on when the governor is broken', async () => {
  for (const early of [true, false]) {
    const { governor, breakIt } = breakable(setUp().governor);
    if (early) breakIt();
    const Handler = nextCacheHandler(governor, { name: 'pages', maxBytes: MIB });
    const handler = nextUseCacheHandler(governor, { name: 'use cache', maxBytes: MIB });
    breakIt();
    await new Handler().set('/a', page('<p>'), {});
    expect(await new Handler().get('/a')).not.toBeNull();
    await new Handler().revalidateTag('posts');
    const timestamp = performance.timeOrigin + performance.now();
    const value = streamOf('x');
    await handler.set('a', Promise.resolve({ value, tags: [], stale: 1, timestamp, expire: 60, revalidate: 60 }));
    expect(await handler.get('a', [])).toBeDefined();
    Handler[Symbol.dispose]();
    handler[Symbol.dispose]();
  }
});

it('takes sound options only', () => {
  const { governor } = setUp();
  expect(() => nextCacheHandler(governor, { name: 'pages' })).toThrow(/maxShare/);
  expect(() => nextCacheHandler(governor, { name: 'pages', maxBytes: 1, maxTags: 0 })).toThrow(/maxTags/);
  expect(() => nextCacheHandler(governor, { name: 'pages', maxbytes: 1 } as never)).toThrow(/did you mean/);
});
