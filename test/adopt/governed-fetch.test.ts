import { type GovernedFetchOptions, governedFetch } from 'plimsoll/adopt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusedEvents } from '../../src/events.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { type BodyServer, startBodyServer } from './body-server.ts';
import { KIB, setUpFetch, turn, until } from './fetch-set-up.ts';

let server: BodyServer;
beforeAll(async () => {
  server = await startBodyServer();
});
afterAll(() => server.close());

function open(options: Partial<GovernedFetchOptions> = {}, mode: 'on' | 'observe' | 'off' = 'on') {
  const all = setUpFetch(options, mode);
  return { ...all, get: (path: string, init?: RequestInit) => all.fetch(server.origin + path, init) };
}

function streamOf(chunk: unknown): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(chunk as Uint8Array);
      controller.close();
    },
  });
}

describe('what a body holds', () => {
  it('is what was expected, then its length, then nothing', async () => {
    const { fetch, get, governor } = open();
    const asking = get('/length?bytes=1000');
    await turn();
    expect(governor.heldBytes).toBe(64 * KIB);
    const response = await asking;
    expect(fetch.heldBytes).toBe(1000);
    expect((await response.text()).length).toBe(1000);
    expect(governor.heldBytes).toBe(0);
  });

  it('grows to a longer length before it is read, and by what arrives where there is no length', async () => {
    const { fetch, get } = open();
    const long = await get('/length?bytes=300000');
    expect(fetch.heldBytes).toBe(300_000);
    await long.arrayBuffer();
    const chunked = await get('/chunked?bytes=300000');
    // What it was expected to be, and what is kept back that it can be read to its end.
    expect(fetch.heldBytes).toBe((64 + 512) * KIB);
    const reader = chunked.body!.getReader();
    let bytes = 0;
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      bytes += read.value.byteLength;
      expect(fetch.heldBytes).toBeGreaterThanOrEqual(Math.min(bytes, 1));
      if (bytes < 300_000) expect(fetch.heldBytes).toBeGreaterThanOrEqual(bytes);
    }
    expect([bytes, fetch.heldBytes]).toEqual([300_000, 0]);
  });

  it('counts decompressed', async () => {
    const { fetch, get } = open();
    const response = await get('/gzip?bytes=400000');
    const reader = response.body!.getReader();
    let bytes = 0;
    let most = 0;
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      bytes += read.value.byteLength;
      most = Math.max(most, fetch.heldBytes);
    }
    expect([bytes, fetch.heldBytes]).toEqual([400_000, 0]);
    expect(most).toBeGreaterThanOrEqual(380_000);
    await expect((await get('/gzip?bytes=600000')).text()).rejects.toMatchObject({ code: 'PLIMSOLL_BODY_TOO_LARGE' });
    expect(fetch.heldBytes).toBe(0);
  });

  it.each([
    ['HEAD', '/length?bytes=400000', { method: 'HEAD' }],
    ['204', '/empty?status=204', {}],
    ['304', '/empty?status=304', {}],
  ])('is nothing without a body: %s', async (_, path, init) => {
    const { fetch, get } = open();
    const response = await get(path, init);
    expect([fetch.heldBytes, await response.text()]).toEqual([0, '']);
  });

  it('is let go when the request fails, the body is cancelled, breaks off, or is aborted before and in the middle', async () => {
    const { fetch, get } = open();
    await expect(fetch('http://127.0.0.1:1/')).rejects.toThrow(TypeError);
    await expect(fetch('no address')).rejects.toThrow(TypeError);
    expect(fetch.heldBytes).toBe(0);
    const cancelled = await get('/stuck');
    await cancelled.body!.cancel('enough');
    expect(fetch.heldBytes).toBe(0);
    await expect((await get('/broken?bytes=1')).text()).rejects.toThrow();
    expect(fetch.heldBytes).toBe(0);
    await expect(get('/stuck', { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
    const stop = new AbortController();
    const aborted = await get('/stuck', { signal: stop.signal });
    const unread = await get('/stuck', { signal: stop.signal });
    const reading = aborted.text();
    stop.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    // Nobody reads the other one.
    await until(() => fetch.heldBytes === 0);
    await expect(unread.text()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('is let go when nobody can read it any more', async () => {
    const { fetch, get } = open();
    await (async () => void (await get('/length?bytes=1000')))();
    expect(fetch.heldBytes).toBe(1000);
    for (let i = 0; i < 50 && fetch.heldBytes > 0; i++) {
      globalThis.gc!();
      await turn();
    }
    expect(fetch.heldBytes).toBe(0);
  });
});

describe('the response', () => {
  it('is as with plain fetch', async () => {
    const { get } = open();
    for (const path of ['/length?bytes=10', '/redirect', '/gzip?bytes=9', '/empty?status=204', '/cookies']) {
      const [governed, plain] = await Promise.all([get(path), fetch(server.origin + path)]);
      expect(governed).toBeInstanceOf(Response);
      for (const name of ['url', 'redirected', 'type', 'status', 'statusText', 'ok', 'bodyUsed'] as const) {
        expect([path, name, governed[name]]).toEqual([path, name, plain[name]]);
      }
      const without = (headers: Headers) => [...headers].filter(([name]) => name !== 'date');
      expect(without(governed.headers)).toEqual(without(plain.headers));
      expect(governed.headers.getSetCookie()).toEqual(plain.headers.getSetCookie());
      expect(governed.body === null).toBe(plain.body === null);
      expect(await governed.text()).toBe(await plain.text());
      expect(governed.bodyUsed).toBe(plain.bodyUsed);
    }
  });

  it('can be read in every way, with a reader of one’s own buffers too', async () => {
    const { fetch, get } = open();
    const post = (body: RequestInit['body']) => get('/echo', { method: 'POST', body: body! });
    expect(await (await post('{"a":1}')).json()).toEqual({ a: 1 });
    expect((await (await post('abc')).blob()).size).toBe(3);
    expect(new Uint8Array(await (await post('abc')).arrayBuffer())).toEqual(new Uint8Array([97, 98, 99]));
    const reader = (await get('/length?bytes=100000')).body!.getReader({ mode: 'byob' });
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(1000));
      bytes += value?.byteLength ?? 0;
      if (done) break;
    }
    expect([bytes, fetch.heldBytes]).toEqual([100_000, 0]);
  });

  it('can be cloned, and clones again; what one has read and the other has not stays counted', async () => {
    const { fetch, get } = open();
    const one = await get('/length?bytes=200000');
    const two = one.clone();
    const three = two.clone();
    expect([two.url, two.status, two.headers.get('x-kind')]).toEqual([one.url, 200, 'length']);
    expect((await one.text()).length).toBe(200_000);
    expect(fetch.heldBytes).toBeGreaterThanOrEqual(400_000);
    expect((await two.text()).length).toBe(200_000);
    const four = three.clone();
    expect(await three.text()).toBe('a'.repeat(200_000));
    expect(() => three.clone()).toThrow(TypeError);
    await four.body!.cancel();
    expect(fetch.heldBytes).toBe(0);
  });

  it('takes a Request, with its signal', async () => {
    const { fetch } = open();
    expect(await (await fetch(new Request(`${server.origin}/length?bytes=3`))).text()).toBe('aaa');
    await expect(fetch(new Request(server.origin, { signal: AbortSignal.abort() }))).rejects.toThrow('aborted');
  });

  it('comes from the fetch that is given, and is handed on where it cannot be rebuilt', async () => {
    const shared = Buffer.from('pooled');
    const odd = { body: { getReader: undefined }, headers: new Headers() };
    const answers = [
      new Response(streamOf(shared)),
      odd as never as Response,
      Response.error(),
      new Response(streamOf('text')),
    ];
    const { fetch } = open({ fetch: async () => answers.shift()! });
    expect(await (await fetch('a')).text()).toBe('pooled');
    expect(shared.toString()).toBe('pooled');
    expect(await fetch('a')).toBe(odd);
    expect((await fetch('a')).type).toBe('error');
    await expect((await fetch('a')).text()).rejects.toThrow(TypeError);
    expect(fetch.heldBytes).toBe(0);
  });
});

describe('when it is not to act', () => {
  it('observes: counts, says what it would refuse, once each, and refuses nothing', async () => {
    const { fetch, get } = open({ maxInFlightBytes: 512 * KIB }, 'observe');
    const said: string[] = [];
    using _listening = refusedEvents.subscribe(({ boundBy, observed }) => void said.push(`${boundBy} ${observed}`));
    const response = await get('/chunked?bytes=1000000');
    expect(fetch.heldBytes).toBe((64 + 512) * KIB);
    expect((await response.text()).length).toBe(1_000_000);
    expect(fetch.heldBytes).toBe(0);
    expect(said.filter((one) => one === 'maxBodyBytes true')).toHaveLength(1);
  });

  it('hands on what fetch gives, off and disposed', async () => {
    const answer = new Response('a');
    const one = open({ fetch: async () => answer }, 'off');
    expect(await one.fetch('a')).toBe(answer);
    const two = open({ fetch: async () => answer });
    two.fetch[Symbol.dispose]();
    expect(await two.fetch('a')).toBe(answer);
    const three = open({ fetch: async () => answer });
    three.governor[Symbol.dispose]();
    expect(await three.fetch('a')).toBe(answer);
  });

  it('lets bodies under way go on when it, or the governor, is disposed, and lets in who waits', async () => {
    for (const dispose of ['fetch', 'governor'] as const) {
      const all = open({ maxInFlightBytes: 512 * KIB, expectedBodyBytes: 300_000 });
      const response = await all.get('/chunked?bytes=500000');
      const waiting = all.get('/length?bytes=5');
      await turn();
      all[dispose][Symbol.dispose]();
      expect((await response.text()).length).toBe(500_000);
      expect(await (await waiting).text()).toBe('aaaaa');
    }
  });

  it('serves on where the governor is broken from the start, or breaks at any time', async () => {
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    const broken = governedFetch(governor, { name: 'a', maxShare: 0.1, maxBodyBytes: 1000 });
    expect(await (await broken(`${server.origin}/length?bytes=5`)).text()).toBe('aaaaa');
    for (const when of ['asked', 'answered', 'reading'] as const) {
      const one = open();
      const asking = one.get('/chunked?bytes=400000');
      if (when === 'asked') one.breakIt();
      const response = await asking;
      if (when === 'answered') one.breakIt();
      const reader = response.body!.getReader();
      let bytes = 0;
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        bytes += read.value.byteLength;
        if (bytes > 50_000 && when === 'reading') one.breakIt();
      }
      expect(bytes).toBe(400_000);
      expect(await (await one.get('/length?bytes=600000')).text()).toHaveLength(600_000);
    }
  });
});

describe('what it takes', () => {
  it.each([
    [{ maxInFlightBytes: undefined }, '`maxInFlightBytes`'],
    [{ maxShare: 0.5 }, '`maxInFlightBytes`'],
    [{ maxInFlightBytes: undefined, maxShare: 2 }, '`maxShare`'],
    [{ maxBodyBytes: 2 * MIB }, '`maxBodyBytes`'],
    [{ maxBodyBytes: undefined }, '`maxBodyBytes`'],
    [{ expectedBodyBytes: 600 * KIB }, '`expectedBodyBytes`'],
    [{ timeoutMs: -1 }, '`timeoutMs`'],
    [{ name: '' }, '`name`'],
    [{ fetch: 'no' }, '`fetch`'],
    [{ maxBodybytes: 1 }, 'did you mean `maxBodyBytes`'],
  ])('is looked at: %j', (options, named) => {
    const make = () => open(options as never);
    expect(make).toThrow(named);
    expect(make).toThrow(RangeError);
  });

  it('may be a part of the limit', async () => {
    const { governor } = setUp();
    governedFetch(governor, { name: 'part', maxShare: 0.1, maxBodyBytes: MIB });
    expect(governor.snapshot().consumers.find(({ name }) => name === 'part')).toMatchObject({ maxBytes: 10 * MIB });
  });
});
