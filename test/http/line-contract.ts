import { once } from 'node:events';
import { request as ask } from 'node:http';
import { connect } from 'node:net';
import { faultEvents } from 'plimsoll';
import type { ShedPolicyOptions } from 'plimsoll/http';
import { expect, it, vi } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB } from '../governor/fake-meter.ts';
import { type StartService, setUpSite } from './site.ts';

const SCOPE = { maxBytes: 8 * MIB };

/** What every adapter keeps to, against the real framework, over a real connection. */
export function lineContract(start: StartService, frameworkOf500: (status: number, body: string) => void): void {
  const begin = async (options: ShedPolicyOptions = {}, how: { breakAtOnce?: boolean } = {}) => {
    const set = setUpSite();
    const broken = breakable(set.governor);
    if (how.breakAtOnce) broken.breakIt();
    const running = await start(set.site, broken.governor, { clock: set.clock, ...options });
    const get = async (path: string, init?: RequestInit) => {
      const response = await fetch(`http://127.0.0.1:${running.port}${path}`, init);
      return { status: response.status, headers: response.headers, text: await response.text() };
    };
    return {
      ...set,
      ...running,
      get,
      breakIt: broken.breakIt,
      async [Symbol.asyncDispose]() {
        set.site[Symbol.dispose]();
        await running[Symbol.asyncDispose]();
        set.governor[Symbol.dispose]();
      },
    };
  };
  const status = async (answer: Promise<{ status: number }>) => (await answer).status;

  it('turns away at critical, says when to come back, and says nothing else', async () => {
    await using service = await begin({ retryAfterSeconds: { from: 2, to: 4 } });
    expect(await service.get('/')).toMatchObject({ status: 200, text: 'hello' });
    service.press(0.9);
    const seconds = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const { status, headers, text } = await service.get('/');
      expect([status, text]).toEqual([503, '']);
      expect(
        [...headers.keys()].filter((name) => !/^(date|connection|keep-alive|content-length|retry-after)$/.test(name)),
      ).toEqual([]);
      seconds.add(Number(headers.get('retry-after')));
    }
    expect([...seconds].sort()).toEqual([2, 3, 4]);
    service.press(0.1);
    expect(await status(service.get('/'))).toBe(200);
  });

  it('keeps the connection of who is turned away, and closes it when told to', async () => {
    const connectionOf = async (options: ShedPolicyOptions) => {
      await using service = await begin(options);
      service.press(0.9);
      return (await service.get('/')).headers.get('connection');
    };
    expect([await connectionOf({}), await connectionOf({ closeConnection: true })]).toEqual(['keep-alive', 'close']);
  });

  it('exempts what it is told to, and lets the first go first', async () => {
    await using service = await begin({ firstToGo: ['/report/*'], status: 529, body: 'later' });
    const all = async () => [
      await status(service.get('/health')),
      await status(service.get('/?q=/health')),
      await status(service.get('/report/7?page=2')),
    ];
    expect(await all()).toEqual([200, 200, 200]);
    service.press(0.75);
    expect(await all()).toEqual([200, 200, 529]);
    service.press(0.9);
    expect(await all()).toEqual([200, 529, 529]);
    expect((await service.get('/')).text).toBe('later');
  });

  it('in observe it only counts, in off not even that', async () => {
    await using service = await begin({ scope: SCOPE });
    service.governor.tune({ mode: 'observe' });
    service.press(0.9);
    expect(await status(service.get('/'))).toBe(200);
    const row = () => service.governor.snapshot().shed.find(({ point }) => point === 'http.accept');
    expect(row()).toMatchObject({ asked: 1, shed: 1 });
    service.governor.tune({ mode: 'off' });
    expect(await status(service.get('/'))).toBe(200);
    expect(row()).toMatchObject({ asked: 1, shed: 1 });
  });

  it('a scope spans the handler and ends with the response', async () => {
    await using service = await begin({ scope: SCOPE });
    const answer = service.get('/hold');
    await vi.waitFor(() => expect(service.governor.snapshot().scopes[0]?.heldBytes).toBe(MIB));
    expect(service.governor.snapshot().scopes[0]).toMatchObject({ name: 'GET /hold', maxBytes: 8 * MIB });
    service.site.letGo();
    expect((await answer).text).toBe('held');
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
  });

  it('what is reserved after a body was read counts in the scope', async () => {
    await using service = await begin({ scope: SCOPE });
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ rows: 5, pad: 'x'.repeat(90_000) }),
    };
    const { status, text } = await service.get('/count', init);
    expect([status, JSON.parse(text)]).toEqual([200, { rows: 5, scopeBytes: MIB }]);
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
  });

  it.each(['/hold', '/stream'])('a client that goes away in the middle of %s ends the scope', async (path) => {
    await using service = await begin({ scope: SCOPE });
    const client = ask({ port: service.port, path, host: '127.0.0.1' }).on('error', () => {});
    const begun = path === '/stream' ? once(client, 'response') : undefined;
    client.end();
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(1));
    await begun;
    client.destroy();
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
    expect(await status(service.get('/'))).toBe(200);
  });

  it('requests that wait behind another on a connection that breaks end their scopes', async () => {
    await using service = await begin({ scope: SCOPE });
    const client = connect(service.port, '127.0.0.1').on('error', () => {});
    client.write('GET /hold HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(12));
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBeGreaterThan(10));
    client.destroy();
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
  });

  it('what cannot be given its room is turned away, and the handler is not called', async () => {
    await using service = await begin({ scope: { maxBytes: 80 * MIB, upFrontBytes: 80 * MIB, timeoutMs: 1_000 } });
    using books = service.governor.consumer({ name: 'books', kind: 'external', maxBytes: 90 * MIB });
    using _room = books.reserve(60 * MIB);
    const answer = service.get('/');
    await vi.waitFor(() => expect(service.governor.snapshot().waiting).toBe(1));
    service.clock.advance(1_000);
    expect(await answer).toMatchObject({ status: 503, text: '' });
    expect(service.site.calls).toEqual([]);
  });

  it('a client that goes away while it waits for room waits no longer', async () => {
    await using service = await begin({ scope: { maxBytes: 80 * MIB, upFrontBytes: 80 * MIB } });
    using books = service.governor.consumer({ name: 'books', kind: 'external', maxBytes: 90 * MIB });
    using _room = books.reserve(60 * MIB);
    const client = ask({ port: service.port, path: '/hold', host: '127.0.0.1' }).on('error', () => {});
    client.end();
    await vi.waitFor(() => expect(service.governor.snapshot().waiting).toBe(1));
    client.destroy();
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
    expect([service.governor.snapshot().waiting, service.site.calls]).toEqual([0, []]);
  });

  it('a scope that is aborted is answered, and what its handler writes later does no harm', async () => {
    await using service = await begin({ scope: SCOPE, retryAfterSeconds: { from: 3, to: 3 } });
    const answer = service.get('/hold');
    await vi.waitFor(() => expect(service.governor.snapshot().scopes[0]?.heldBytes).toBe(MIB));
    service.press(0.93);
    const { status: code, headers, text } = await answer;
    expect([code, headers.get('retry-after'), text]).toEqual([503, '3', '']);
    service.site.letGo();
    await vi.waitFor(() => expect(service.site.calls).toContain('let go'));
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
    service.press(0.1);
    expect(await status(service.get('/'))).toBe(200);
  });

  it('a response that has begun is cut off when its scope is aborted', async () => {
    await using service = await begin({ scope: { ...SCOPE } });
    const response = await fetch(`http://127.0.0.1:${service.port}/stream`);
    expect(response.status).toBe(200);
    await vi.waitFor(() => expect(service.governor.snapshot().scopes[0]?.heldBytes).toBe(MIB));
    service.press(0.93);
    await expect(response.text()).rejects.toThrow();
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
  });

  it.each([undefined, SCOPE])('an error in a handler takes the way it took (scope: %o)', async (scope) => {
    await using service = await begin(scope === undefined ? {} : { scope });
    const { status: code, text } = await service.get('/fail');
    frameworkOf500(code, text);
    await vi.waitFor(() => expect(service.governor.snapshot().scopeCount).toBe(0));
    expect(await status(service.get('/'))).toBe(200);
  });

  it('large uploads that are turned away are answered, and read no further than is polite', async () => {
    await using service = await begin();
    service.press(0.9);
    const client = connect(service.port, '127.0.0.1').on('error', () => {});
    client.write(
      `POST /count HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${1 << 30}\r\n\r\n`,
    );
    let sent = 0;
    const piece = Buffer.alloc(65_536, 'x');
    const pump = () => {
      while (!client.destroyed && sent < 1 << 30) {
        sent += piece.length;
        if (!client.write(piece)) return void client.once('drain', pump);
      }
    };
    pump();
    let heard = '';
    client.on('data', (chunk) => (heard += chunk));
    await new Promise((resolve) => client.once('close', resolve));
    expect(heard).toMatch(/^HTTP\/1.1 503 /);
    expect(sent).toBeLessThan(64 << 20);
    expect(service.site.calls).toEqual([]);
  });

  it.each([{}, { scope: SCOPE }])(
    'answers on with a governor that is broken, from the start or later (%o)',
    async (options) => {
      const faults: string[] = [];
      using _listening = faultEvents.subscribe(({ part }) => faults.push(part));
      for (const breakAtOnce of [true, false]) {
        await using service = await begin(options, { breakAtOnce });
        if (!breakAtOnce) expect(await status(service.get('/'))).toBe(200);
        service.breakIt();
        expect(await status(service.get('/'))).toBe(200);
        expect(await status(service.get('/report/1'))).toBe(200);
        service.press(0.9);
        expect(await status(service.get('/'))).toBe(200);
      }
      expect(new Set(faults)).toEqual(new Set(['http']));
    },
  );

  it('answers on when the governor has been disposed', async () => {
    await using service = await begin({ scope: SCOPE });
    service.governor[Symbol.dispose]();
    expect(await status(service.get('/'))).toBe(200);
  });

  it('what is handed in may fail, too', async () => {
    const fail = () => {
      throw new Error('not today');
    };
    await using service = await begin({ exempt: fail, firstToGo: fail, random: fail, scope: fail });
    expect(await status(service.get('/'))).toBe(200);
    service.press(0.9);
    expect(await status(service.get('/'))).toBe(200);
  });
}
