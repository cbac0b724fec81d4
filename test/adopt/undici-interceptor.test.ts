import { type BodyBudgetOptions, governedDispatch, type UndiciDispatch } from 'plimsoll/adopt';
import { Agent, fetch, interceptors } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { type BodyServer, startBodyServer } from './body-server.ts';

const KIB = 1024;
let server: BodyServer;
const plain = new Agent();
beforeAll(async () => {
  server = await startBodyServer();
});
afterAll(async () => {
  await plain.destroy();
  await server.close();
});

function open(options: Partial<BodyBudgetOptions> = {}, mode: 'on' | 'observe' | 'off' = 'on') {
  const { governor, clock } = setUp({ mode });
  const { governor: fragile, breakIt } = breakable(governor);
  const governed = governedDispatch(fragile, {
    name: 'upstream',
    maxInFlightBytes: MIB,
    maxBodyBytes: 512 * KIB,
    clock,
    ...options,
  });
  const agent = plain.compose(governed);
  const get = (path: string, more: object = {}) =>
    agent.request({ origin: server.origin, path, method: 'GET', ...more });
  return { governor, clock, governed, agent, get, breakIt };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 100_000 && !holds(); i++) await turn();
  expect(holds()).toBe(true);
}

interface GovernedParts {
  readonly log: string[];
  readonly controller: object;
  readonly handler: {
    onResponseStart(controller: object, statusCode: number, headers: object): void;
    onResponseEnd(controller: object, trailers: object): void;
    onResponseError(controller: object, error: Error): void;
  };
}

describe('an interceptor of undici', () => {
  it('holds what is expected, then the length, until the last byte has been handed on', async () => {
    const { governed, get, governor } = open();
    const asking = get('/length?bytes=400000');
    await turn();
    expect(governor.heldBytes).toBe(64 * KIB);
    const { body, statusCode, headers } = await asking;
    expect([statusCode, headers['x-kind'], governed.heldBytes]).toEqual([200, 'length', 400_000]);
    expect((await body.text()).length).toBe(400_000);
    expect(governed.heldBytes).toBe(0);
    const chunked = await get('/chunked?bytes=400000');
    expect((await chunked.body.text()).length).toBe(400_000);
    expect(governed.heldBytes).toBe(0);
  });

  it('holds nothing for answers without a body', async () => {
    const { governed, agent, get } = open();
    const head = await agent.request({ origin: server.origin, path: '/length?bytes=900000', method: 'HEAD' });
    expect([head.headers['content-length'], await head.body.text()]).toEqual(['900000', '']);
    expect((await get('/empty?status=204')).statusCode).toBe(204);
    expect((await get('/empty?status=304')).statusCode).toBe(304);
    await until(() => governed.heldBytes === 0);
  });

  it('counts what decompress makes of it', async () => {
    const { governor, clock } = setUp();
    const governed = governedDispatch(governor, { name: 'a', maxInFlightBytes: MIB, maxBodyBytes: 512 * KIB, clock });
    const agent = plain.compose(interceptors.decompress(), governed);
    const get = (path: string) => agent.request({ origin: server.origin, path, method: 'GET' });
    expect((await (await get('/gzip?bytes=400000')).body.text()).length).toBe(400_000);
    const read = async () => (await get('/gzip?bytes=9000000')).body.text();
    await expect(read()).rejects.toMatchObject({ code: 'PLIMSOLL_BODY_TOO_LARGE' });
    expect(governed.heldBytes).toBe(0);
  });

  it.each([
    ['by its length', '/length?bytes=30000000'],
    ['by what arrives', '/chunked?bytes=30000000'],
  ])('refuses a body that is too long, %s, and closes its connection', async (_, path) => {
    const { governed, get } = open();
    const before = server.cut.length;
    const read = async () => (await get(path)).body.text();
    await expect(read()).rejects.toMatchObject({ code: 'PLIMSOLL_BODY_TOO_LARGE' });
    expect(governed.heldBytes).toBe(0);
    await until(() => server.cut.length > before);
  });

  it('waits before it sends, and fails in time, on abort, or goes on', async () => {
    const { governed, get, clock } = open({ maxInFlightBytes: 512 * KIB, expectedBodyBytes: 300_000, timeoutMs: 500 });
    const first = await get('/stuck');
    const asked = server.asked.length;
    const late = get('/length?bytes=1');
    const stop = new AbortController();
    const left = get('/length?bytes=1', { signal: stop.signal });
    await turn();
    stop.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    clock.advance(500);
    await expect(late).rejects.toMatchObject({ code: 'PLIMSOLL_ADMISSION_TIMEOUT' });
    expect(server.asked.length).toBe(asked);
    const next = get('/length?bytes=1');
    first.body.on('error', () => {});
    first.body.destroy();
    expect(await (await next).body.text()).toBe('a');
    expect(governed.heldBytes).toBe(0);
  });

  it('waits with the connection paused where the length is more than there is room for, and goes on', async () => {
    const { governed, get } = open({ maxInFlightBytes: 512 * KIB, expectedBodyBytes: 10 });
    const stuck = await get('/length?bytes=400000');
    const second = await get('/length?bytes=300000');
    const reading = second.body.text();
    for (let i = 0; i < 50; i++) await turn();
    expect(governed.heldBytes).toBe(400_000);
    expect((await stuck.body.text()).length).toBe(400_000);
    expect((await reading).length).toBe(300_000);
    expect(governed.heldBytes).toBe(0);
  });

  it('waits in the middle where there is no length, and fails none: one can always be read to its end', async () => {
    const { governed, get } = open({ maxInFlightBytes: 500_000, maxBodyBytes: 400_000, expectedBodyBytes: 10 });
    const paths = Array.from({ length: 16 }, (_, i) =>
      i % 4 === 3 ? '/length?bytes=390000' : '/chunked?bytes=390000',
    );
    const read = async (path: string) => (await (await get(path)).body.text()).length;
    expect(await Promise.all(paths.map(read))).toEqual(paths.map(() => 390_000));
    expect(governed.heldBytes).toBe(0);
  });

  it('serves fetch of undici, and streams that pause', async () => {
    const { governed, agent, get } = open();
    const response = await fetch(`${server.origin}/redirect`, { dispatcher: agent });
    expect([response.redirected, await response.text()]).toEqual([true, 'a'.repeat(10)]);
    const { body } = await get('/chunked?bytes=400000', { highWaterMark: 1_000 });
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      await turn();
    }
    expect([bytes, governed.heldBytes]).toEqual([400_000, 0]);
  });

  it('lets go when a request fails or breaks off', async () => {
    const { governed, agent, get } = open();
    await expect(agent.request({ origin: 'http://127.0.0.1:1', path: '/', method: 'GET' })).rejects.toThrow();
    await expect(get('no path')).rejects.toThrow();
    const broken = await get('/broken?bytes=1');
    await expect(broken.body.text()).rejects.toThrow();
    const stop = new AbortController();
    const aborted = await get('/stuck', { signal: stop.signal });
    stop.abort();
    await expect(aborted.body.text()).rejects.toThrow();
    expect(governed.heldBytes).toBe(0);
  });

  it('only counts in observe; passes through off, disposed, and where the governor is or gets broken', async () => {
    const observing = open({}, 'observe');
    expect((await (await observing.get('/chunked?bytes=900000')).body.text()).length).toBe(900_000);
    expect(observing.governed.heldBytes).toBe(0);
    const off = open({}, 'off');
    expect((await (await off.get('/length?bytes=900000')).body.text()).length).toBe(900_000);
    const disposed = open();
    disposed.governed[Symbol.dispose]();
    expect((await (await disposed.get('/length?bytes=900000')).body.text()).length).toBe(900_000);
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    const broken = plain.compose(governedDispatch(governor, { name: 'a', maxShare: 0.1, maxBodyBytes: 10 }));
    const { body } = await broken.request({ origin: server.origin, path: '/length?bytes=900', method: 'GET' });
    expect((await body.text()).length).toBe(900);
    const breaks = open();
    const half = await breaks.get('/chunked?bytes=400000');
    breaks.breakIt();
    expect((await half.body.text()).length).toBe(400_000);
    expect((await (await breaks.get('/length?bytes=900000')).body.text()).length).toBe(900_000);
  });
});

describe('a connection', () => {
  it('stays paused while its body waits for room, also when its reader wants more, and while its reader is full', async () => {
    const { governed } = open({ maxInFlightBytes: 5_000, maxBodyBytes: 5_000, expectedBodyBytes: 10 });
    const started: GovernedParts[] = [];
    const dispatch = governed(((_options, handler) => {
      const log: string[] = [];
      const controller = { pause: () => void log.push('pause'), resume: () => void log.push('resume'), abort() {} };
      handler.onRequestStart(controller, {});
      started.push({ log, handler, controller });
      return true;
    }) as UndiciDispatch);
    let seen: { pause(): void; resume(): void } | undefined;
    for (const length of ['4000', '3000']) {
      dispatch({ method: 'GET' }, { onRequestStart: (given: typeof seen) => void (seen = given) });
      await turn();
      const { handler, controller } = started.at(-1)!;
      handler.onResponseStart(controller, 200, { 'content-length': length });
    }
    const [first, second] = started;
    expect(second!.log).toEqual(['pause']);
    seen!.resume();
    seen!.pause();
    expect(second!.log).toEqual(['pause', 'pause']);
    first!.handler.onResponseEnd(first!.controller, {});
    await turn();
    expect(second!.log).toEqual(['pause', 'pause']);
    seen!.resume();
    expect(second!.log).toEqual(['pause', 'pause', 'resume']);
    second!.handler.onResponseError(second!.controller, new Error('gone'));
    expect(governed.heldBytes).toBe(0);
  });
});

/** As undici 6 has it: handlers without a controller, that answer whether to go on. */
describe('a handler of undici 6', () => {
  function legacy(options: Partial<BodyBudgetOptions> = {}) {
    const { governed, clock } = open(options);
    const log: string[] = [];
    // biome-ignore lint/suspicious/noExplicitAny: what undici hands on
    let inner: any;
    const dispatch = governed(((_options, handler) => {
      inner = handler;
      return true;
    }) as UndiciDispatch);
    const handler = {
      onConnect: () => void log.push('connect'),
      onHeaders: (status: number) => {
        log.push(`headers ${status}`);
        return true;
      },
      onData: (chunk: Uint8Array) => {
        log.push(`data ${chunk.length}`);
        return chunk.length < 2000;
      },
      onComplete: () => void log.push('complete'),
      onError: (error: { code?: string }) => void log.push(`error ${error.code}`),
    };
    return { governed, clock, dispatch, handler, log, sent: () => inner };
  }

  it('is counted, and may pause', async () => {
    const { governed, dispatch, handler, log, sent } = legacy();
    expect(dispatch({ method: 'GET' }, handler)).toBe(true);
    await turn();
    sent().onConnect(() => {});
    expect(sent().onHeaders(103, [], () => {})).toBe(true);
    expect(sent().onHeaders(200, [Buffer.from('Content-Length'), Buffer.from('3000')], () => {})).toBe(true);
    expect(governed.heldBytes).toBe(3000);
    expect(sent().onData(Buffer.alloc(1000))).toBe(true);
    expect(sent().onData(Buffer.alloc(2000))).toBe(false);
    sent().onComplete([]);
    expect(governed.heldBytes).toBe(0);
    expect(log).toEqual(['connect', 'headers 103', 'headers 200', 'data 1000', 'data 2000', 'complete']);
  });

  it('is paused while there is no room, and resumed', async () => {
    const one = legacy({ maxInFlightBytes: 5_000, maxBodyBytes: 5_000, expectedBodyBytes: 10 });
    one.dispatch({}, one.handler);
    await turn();
    const first = one.sent();
    first.onConnect(() => {});
    first.onHeaders(200, ['content-length', '4000'], () => {});
    one.dispatch({}, one.handler);
    await turn();
    const second = one.sent();
    let resumed = 0;
    second.onConnect(() => {});
    expect(second.onHeaders(200, ['content-length', '3000'], () => resumed++)).toBe(false);
    second.onData(Buffer.alloc(3000));
    second.onComplete([]);
    await turn();
    expect([resumed, one.log.at(-1)]).toEqual([0, 'headers 200']);
    first.onError(Object.assign(new Error('gone'), { code: 'GONE' }));
    await turn();
    expect(one.log.slice(-3)).toEqual(['error GONE', 'data 3000', 'complete']);
    expect(one.governed.heldBytes).toBe(0);
  });

  it('hears of a refusal, before and after all has come', async () => {
    const one = legacy({ maxInFlightBytes: 5_000, maxBodyBytes: 5_000, expectedBodyBytes: 3_000, timeoutMs: 500 });
    one.dispatch({}, one.handler);
    await turn();
    const first = one.sent();
    let aborted: unknown;
    first.onConnect((reason: unknown) => {
      aborted = reason;
    });
    one.dispatch({}, one.handler);
    await turn();
    one.clock.advance(500);
    await turn();
    expect(one.log.at(-1)).toBe('error PLIMSOLL_ADMISSION_TIMEOUT');
    expect(() => first.onHeaders(200, ['content-length', '6000'], () => {})).toThrow('up to');
    first.onError(new Error('as undici says when a handler throws'));
    expect([aborted, one.governed.heldBytes]).toEqual([undefined, 0]);
  });
});
