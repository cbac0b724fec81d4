import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { cookieOf, RequestGate, sessionOf } from '../../src/dashboard/request-gate.ts';
import { fakeRequest } from './fake-request.ts';

const TOKEN = 'open-sesame';
const HOST = { host: 'localhost:9229' };
const far = { remoteAddress: '192.0.2.7' };

function makeGate(token: string | undefined = TOKEN, hosts: readonly string[] = []) {
  const clock = new ManualClock();
  return { clock, gate: new RequestGate({ token, hosts, clock }) };
}

const bearer = (token: string) => ({ ...HOST, authorization: `Bearer ${token}` });

describe('a rebound host name', () => {
  it.each(['localhost', 'localhost:1', 'LOCALHOST', '127.0.0.1:9229', '127.8.8.8', '[::1]', '[::1]:80'])(
    '%s is of this machine',
    (host) => {
      expect(makeGate().gate.checkHost(fakeRequest({ host }))).toBeUndefined();
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', 'my.lan'])('%s is refused', (host) => {
    expect(makeGate().gate.checkHost(fakeRequest({ host }))?.status).toBe(421);
  });

  it('a name that is listed is let in, in any letter case and by any port', () => {
    const { gate } = makeGate(TOKEN, ['my.lan']);
    expect(gate.checkHost(fakeRequest({ host: 'My.LAN:444' }))).toBeUndefined();
  });

  it('an address cannot be made to point elsewhere, and is let in where a token is asked for', () => {
    expect(makeGate().gate.checkHost(fakeRequest({ host: '192.0.2.1:80' }))).toBeUndefined();
    expect(makeGate().gate.checkHost(fakeRequest({ host: '[2001:db8::1]' }))).toBeUndefined();
    const without = new RequestGate({ token: undefined, hosts: [], clock: new ManualClock() });
    expect(without.checkHost(fakeRequest({ host: '192.0.2.1:80' }))?.status).toBe(421);
  });

  it.each(['', 'a b', 'user@localhost', 'localhost:port', 'localhost/x', 'localhost:123456', '[::1'])(
    '%j is none',
    (host) => {
      expect(makeGate().gate.checkHost(fakeRequest({ host }))?.status).toBe(400);
    },
  );

  it('two of them are none', () => {
    const rawHeaders = ['Host', 'localhost', 'HOST', 'evil.example'];
    expect(makeGate().gate.checkHost(fakeRequest(HOST, { rawHeaders }))?.status).toBe(400);
    expect(makeGate().gate.checkHost(fakeRequest({}))?.status).toBe(400);
  });
});

describe('another site in the same browser', () => {
  const { gate } = makeGate();
  const status = (headers: Record<string, string>, acts: boolean) =>
    gate.checkOrigin(fakeRequest({ ...HOST, ...headers }), acts)?.status;

  it('reads and changes nothing, one on another port of this machine included', () => {
    for (const site of ['cross-site', 'same-site', 'nonsense']) {
      expect(status({ 'sec-fetch-site': site }, false)).toBe(403);
      expect(status({ 'sec-fetch-site': site }, true)).toBe(403);
    }
    for (const origin of [
      'http://evil.example',
      'http://localhost:8080',
      'null',
      'http://localhost:9229/x',
      'file://',
    ]) {
      expect(status({ origin }, false)).toBe(403);
      expect(status({ origin }, true)).toBe(403);
    }
  });

  it('the page itself does both, behind who ends TLS too', () => {
    for (const origin of ['http://localhost:9229', 'https://LOCALHOST:9229']) {
      expect(status({ origin, 'sec-fetch-site': 'same-origin' }, true)).toBeUndefined();
    }
    expect(status({ host: 'my.lan', origin: 'https://my.lan:443' }, true)).toBeUndefined();
  });

  it('an address that was typed reads and does not change', () => {
    expect(status({ 'sec-fetch-site': 'none' }, false)).toBeUndefined();
    expect(status({ 'sec-fetch-site': 'none' }, true)).toBe(403);
  });

  it('a change by cookie that does not say where it comes from is none of a browser', () => {
    const cookie = 'plimsoll-dashboard-9229=x';
    expect(status({ cookie }, true)).toBe(403);
    expect(status({ cookie, origin: 'http://localhost:9229' }, true)).toBeUndefined();
    expect(status({ authorization: 'Bearer x' }, true)).toBeUndefined();
  });
});

describe('standing', () => {
  it('without a token this machine may look, and nobody else', () => {
    const { gate } = makeGate();
    expect(gate.standing(fakeRequest(HOST))).toBe('local');
    expect(gate.standing(fakeRequest(HOST, { remoteAddress: '::ffff:127.0.0.1' }))).toBe('local');
    expect(gate.standing(fakeRequest(HOST, far))).toMatchObject({ status: 401 });
    expect(gate.standing(fakeRequest({ host: '192.0.2.1' }))).toMatchObject({ status: 401 });
  });

  it('what came through a proxy is not of this machine', () => {
    const { gate } = makeGate();
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host']) {
      expect(gate.standing(fakeRequest({ ...HOST, [name]: '127.0.0.1' }))).toMatchObject({ status: 401 });
    }
  });

  it('the right token does all from anywhere, a wrong one nothing, here neither', () => {
    const { gate } = makeGate();
    expect(gate.standing(fakeRequest(bearer(TOKEN), far))).toBe('token');
    for (const wrong of ['', 'open-sesam', 'open-sesamee', 'OPEN-SESAME']) {
      expect(gate.standing(fakeRequest(bearer(wrong)))).toMatchObject({ status: 401 });
    }
    expect(gate.standing(fakeRequest({ ...HOST, authorization: `Basic ${TOKEN}` }))).toMatchObject({ status: 401 });
  });

  it('without one at the start no token is right', () => {
    const gate = new RequestGate({ token: undefined, hosts: [], clock: new ManualClock() });
    expect(gate.standing(fakeRequest(bearer('undefined')))).toMatchObject({ status: 403 });
  });

  it('guessing ends after twenty wrong ones, the right one then included, and goes on a minute later; others are not kept out', () => {
    const { gate, clock } = makeGate();
    for (let n = 0; n < 20; n++)
      expect(gate.standing(fakeRequest(bearer('wrong'), far))).toMatchObject({ status: 401 });
    expect(gate.standing(fakeRequest(bearer(TOKEN), far))).toMatchObject({ status: 429, retryAfterS: 60 });
    expect(gate.standing(fakeRequest(bearer(TOKEN)))).toBe('token');
    clock.advance(60_000);
    expect(gate.standing(fakeRequest(bearer(TOKEN), far))).toBe('token');
  });

  it('a thousand wrong ones by as many addresses end guessing for all', () => {
    const { gate } = makeGate();
    for (let n = 0; n < 1_000; n++) gate.standing(fakeRequest(bearer('wrong'), { remoteAddress: `192.0.2.${n}` }));
    expect(gate.standing(fakeRequest(bearer(TOKEN)))).toMatchObject({ status: 429 });
  });
});

describe('sessions', () => {
  it('a cookie stands for the token for twelve hours, or until it is given up', () => {
    const { gate, clock } = makeGate();
    const request = (id: string) => fakeRequest({ ...HOST, cookie: `other=1; plimsoll-dashboard-9229=${id}; x` }, far);
    const [first, second] = [gate.sessions.open(), gate.sessions.open()];
    expect(gate.standing(request(first))).toBe('token');
    gate.sessions.close(first);
    expect(gate.standing(request(first))).toMatchObject({ status: 401 });
    expect(gate.standing(request(second))).toBe('token');
    clock.advance(12 * 3_600_000);
    expect(gate.standing(request(second))).toMatchObject({ status: 401 });
  });

  it('at most 64; the oldest is forgotten first', () => {
    const { sessions } = makeGate().gate;
    const ids = Array.from({ length: 65 }, () => sessions.open());
    expect(ids.map((id) => sessions.isOpen(id))).toEqual(ids.map((_, i) => i > 0));
  });

  it('the cookie is of one port, of no script and of no other site', () => {
    const cookie = cookieOf(fakeRequest(HOST), '/dashboard', 'abc');
    expect(cookie).toBe('plimsoll-dashboard-9229=abc; Path=/dashboard; HttpOnly; SameSite=Strict');
    expect(cookieOf(fakeRequest(HOST), '/', undefined)).toContain('Max-Age=0');
    expect(sessionOf(fakeRequest({ cookie: 'plimsoll-dashboard-9230=abc' }))).toBeUndefined();
  });
});
