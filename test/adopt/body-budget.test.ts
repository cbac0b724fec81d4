import fc from 'fast-check';
import type { GovernedFetchOptions } from 'plimsoll/adopt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIB } from '../governor/fake-meter.ts';
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

describe('what is refused', () => {
  it.each([
    ['by its length', '/length?bytes=30000000'],
    ['by what arrives', '/chunked?bytes=30000000'],
  ])('is a body that is too long, %s: reading fails and the connection is closed', async (_, path) => {
    const { fetch, get } = open();
    const before = server.cut.length;
    const response = await get(path);
    expect(response.status).toBe(200);
    const copy = response.clone();
    await expect(response.text()).rejects.toMatchObject({
      code: 'PLIMSOLL_BODY_TOO_LARGE',
      recovery: 'fail',
      consumer: 'upstream',
      maxBodyBytes: 512 * KIB,
    });
    await expect(copy.text()).rejects.toMatchObject({ code: 'PLIMSOLL_BODY_TOO_LARGE' });
    expect(fetch.heldBytes).toBe(0);
    await until(() => server.cut.length > before);
  });

  it('is a request that finds no room in time, before it is sent', async () => {
    const { clock, get, fetch } = open({ maxInFlightBytes: 512 * KIB, expectedBodyBytes: 300_000, timeoutMs: 500 });
    const first = await get('/stuck');
    const asked = server.asked.length;
    const second = get('/length?bytes=1');
    await turn();
    clock.advance(500);
    await expect(second).rejects.toMatchObject({ code: 'PLIMSOLL_ADMISSION_TIMEOUT' });
    expect(server.asked.length).toBe(asked);
    const stop = new AbortController();
    const third = get('/length?bytes=1', { signal: stop.signal });
    stop.abort(new Error('left'));
    await expect(third).rejects.toThrow('left');
    const fourth = get('/length?bytes=1');
    await first.body!.cancel();
    expect(await (await fourth).text()).toBe('a');
    expect(fetch.heldBytes).toBe(0);
  });

  it('is a length for which there is no room in time; the others go first, and nothing is held meanwhile', async () => {
    const { clock, get, fetch } = open({ maxInFlightBytes: 512 * KIB, expectedBodyBytes: 10, timeoutMs: 500 });
    const first = await get('/length?bytes=400000');
    const second = get('/length?bytes=300000');
    const third = get('/length?bytes=300000');
    await until(() => server.asked.length > 0 && fetch.heldBytes === 400_000);
    await first.text();
    const response = await Promise.race([second, third]);
    expect(fetch.heldBytes).toBe(300_000);
    clock.advance(500);
    const settled = await Promise.allSettled([second, third]);
    const refused = settled.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.map(({ reason }) => reason.code)).toEqual(['PLIMSOLL_ADMISSION_TIMEOUT']);
    await response.text();
    expect(fetch.heldBytes).toBe(0);
  });

  it('is none of many bodies without a length: one at least can always be read to its end, then the next', async () => {
    const { get, fetch } = open({ maxInFlightBytes: 500_000, maxBodyBytes: 400_000, expectedBodyBytes: 10 });
    const paths = Array.from({ length: 16 }, (_, i) =>
      i % 4 === 3 ? '/length?bytes=390000' : '/chunked?bytes=390000',
    );
    const read = async (path: string) => (await (await get(path)).text()).length;
    expect(await Promise.all(paths.map(read))).toEqual(paths.map(() => 390_000));
    expect(fetch.heldBytes).toBe(0);
  });

  it('is none either where the bound is that of one body', async () => {
    const { get, fetch } = open({ maxInFlightBytes: 400_000, maxBodyBytes: 400_000 });
    const read = async () => (await (await get('/chunked?bytes=390000')).text()).length;
    expect(await Promise.all([read(), read(), read()])).toEqual([390_000, 390_000, 390_000]);
    expect(fetch.heldBytes).toBe(0);
  });

  it('is in time what waits for a body that nobody reads on', async () => {
    const bounds = { maxInFlightBytes: 500_000, maxBodyBytes: 400_000, expectedBodyBytes: 10 };
    const { get, fetch, clock } = open({ ...bounds, timeoutMs: 500 });
    const [first, second] = [await get('/chunked?bytes=390000'), await get('/chunked?bytes=390000')];
    const reader = first.body!.getReader();
    for (let bytes = 0; bytes < 200_000; ) bytes += (await reader.read()).value!.byteLength;
    let code = '';
    const reading = second.text().catch((cause) => {
      code = cause.code;
    });
    for (let i = 0; i < 200; i++) await turn();
    expect(code).toBe('');
    clock.advance(500);
    await reading;
    expect(code).toBe('PLIMSOLL_ADMISSION_TIMEOUT');
    for (let done = false; !done; ) done = (await reader.read()).done;
    expect(fetch.heldBytes).toBe(0);
  });

  it('is nothing in a scope that bodies without a length stay within', async () => {
    const { governor, get, fetch } = open();
    await governor.scope({ name: 'GET /page', maxBytes: 200_000 }, async () => {
      expect((await (await get('/chunked?bytes=100000')).text()).length).toBe(100_000);
      const code = await (await get('/chunked?bytes=300000')).text().catch((cause) => cause.code);
      expect(code).toBe('PLIMSOLL_BUDGET_EXCEEDED');
    });
    expect(fetch.heldBytes).toBe(0);
  });

  it('is what a scope would have to wait for while it holds something, and not what it declared', async () => {
    const { governor, get, fetch } = open({ maxInFlightBytes: 512 * KIB, expectedBodyBytes: 300_000 });
    const other = await get('/stuck');
    const scope = { name: 'GET /page', maxBytes: MIB };
    const inScope = governor.scope(scope, async () => {
      const own = await get('/length?bytes=10');
      return Promise.all([own.text(), get('/length?bytes=300001')]);
    });
    await other.body!.cancel();
    await inScope.then(([, late]) => late.text());
    const held = governor.consumer({ name: 'rows', kind: 'heap', maxBytes: MIB });
    const blocker = await get('/stuck');
    await expect(
      governor.scope(scope, async () => {
        using _rows = held.reserve(10);
        return await get('/length?bytes=10');
      }),
    ).rejects.toMatchObject({ code: 'PLIMSOLL_HOLD_AND_WAIT' });
    await blocker.body!.cancel();
    await governor.scope({ ...scope, upFrontBytes: 600_000 }, async () => {
      const [a, b] = await Promise.all([get('/length?bytes=10'), get('/length?bytes=20')]);
      expect((await a.text()) + (await b.text())).toHaveLength(30);
    });
    expect(fetch.heldBytes).toBe(0);
  });
});

describe('the books', () => {
  const step = fc.record({
    path: fc.constantFrom(
      '/length?bytes=70000',
      '/chunked?bytes=70000',
      '/gzip?bytes=90000',
      '/stuck',
      '/length?bytes=90001',
      '/broken?bytes=1',
      '/empty?status=204',
    ),
    end: fc.constantFrom('read', 'cancel', 'abort', 'clone', 'some', 'late'),
  });

  it('are even at the end, in whatever order bodies are read, cancelled, aborted, cloned, broken off and refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const { fetch, get, governor, clock } = open({
          maxInFlightBytes: 150_000,
          maxBodyBytes: 90_000,
          expectedBodyBytes: 20_000,
          timeoutMs: 2_000,
        });
        const all = steps.map(async ({ path, end }) => {
          const stop = new AbortController();
          const response = await get(path, { signal: stop.signal });
          expect(fetch.heldBytes).toBeLessThanOrEqual(150_000);
          if (path === '/stuck' && (end === 'read' || end === 'clone' || end === 'late')) stop.abort();
          if (end === 'read') await response.arrayBuffer();
          else if (end === 'cancel') await response.body?.cancel();
          else if (end === 'abort') stop.abort();
          else if (end === 'clone') await Promise.all([response.clone().arrayBuffer(), response.arrayBuffer()]);
          else if (end === 'some') {
            const reader = response.body?.getReader();
            await reader?.read();
            await reader?.cancel();
          } else {
            await turn();
            await response.text();
          }
        });
        let isOver = false;
        const settled = Promise.allSettled(all).then(() => {
          isOver = true;
        });
        for (let i = 0; !isOver; i++) {
          await turn();
          if (i % 100 === 99) clock.advance(100);
        }
        await settled;
        await until(() => fetch.heldBytes === 0);
        expect(governor.heldBytes).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});
