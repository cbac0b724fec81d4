import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Governor, processGovernor, setProcessGovernor } from 'plimsoll';
import { afterEach, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/auto/settings.ts';
import { type Auto, startAuto } from '../../src/auto/start-auto.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp as setUpGovernor } from '../governor/fake-meter.ts';

const SLOT = Symbol.for('plimsoll.governor.v1');
const slots = globalThis as Record<symbol, unknown>;
const begun: Auto[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const auto of begun.splice(0)) auto[Symbol.dispose]();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
  delete slots[SLOT];
});

function setUp(env: Record<string, string>, given?: (governor: Governor) => Governor) {
  const { settings, complaints } = readSettings(env);
  const { governor, clock, rss, heap } = setUpGovernor({ mode: settings.mode, collect: false, trim: false });
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const exits: number[] = [];
  const exit = (code: number) => void exits.push(code);
  const auto = startAuto(settings, complaints, { clock, write, exit, governor: given?.(governor) ?? governor });
  begun.push(auto);
  const use = (percent: number) => {
    rss.bytes = percent * MIB;
    governor.sample();
  };
  return { governor, clock, rss, heap, lines, exits, auto, use };
}

const hello: RequestListener = (_request, response) => void response.end('hello');

async function listen(listener: RequestListener = hello) {
  const server = createServer(listener);
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const get = async (path = '/') => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    const response = await fetch(url, { headers: { connection: 'close' } });
    return `${response.status} ${await response.text()}`;
  };
  return { server, get };
}

describe('a program with a governor of its own', () => {
  it('is not kept from it: ours ends', () => {
    const { settings, complaints } = readSettings({});
    const lines: string[] = [];
    const auto = startAuto(settings, complaints, { write: (line) => void lines.push(line) });
    begun.push(auto);
    expect(processGovernor()).toBe(auto.governor);
    const { governor } = setUpGovernor();
    setProcessGovernor(governor);
    expect([processGovernor(), auto.governor.disposed]).toEqual([governor, true]);
    expect(lines.at(-1)).toBe('the program has a governor of its own: this one ends');
  });
});

describe('what cannot be read', () => {
  it('is a line each, and the rest holds', () => {
    const { lines, auto } = setUp({ PLIMSOLL_LIMIT: 'lots', PLIMSOLL_SHARE: '2' });
    expect(lines[0]).toContain('PLIMSOLL_LIMIT: Expected a size');
    expect(lines[1]).toContain('PLIMSOLL_SHARE: ');
    expect(auto.settings.mode).toBe('observe');
  });

  it('is not told where no lines are wanted', () => {
    const { lines, use } = setUp({ PLIMSOLL_LIMIT: 'lots', PLIMSOLL_LOG: 'off' });
    use(99);
    expect(lines).toEqual([]);
  });
});

describe('the governor', () => {
  it('is the process’s, as the environment says it', () => {
    const { settings } = readSettings({ PLIMSOLL_LIMIT: '300MiB', PLIMSOLL_SHARE: '0.5', PLIMSOLL_LOG: 'off' });
    const auto = startAuto(settings, []);
    begun.push(auto);
    expect(auto.governor.mode).toBe('observe');
    expect(auto.governor.limitBytes).toBeLessThanOrEqual(150 * MIB);
    expect(slots[SLOT]).toBe(auto.governor);
  });

  it('that is there already is used, and stays its maker’s', () => {
    const { governor } = setUpGovernor({ mode: 'on' });
    slots[SLOT] = governor;
    const auto = startAuto(readSettings({ PLIMSOLL_LOG: 'off' }).settings, []);
    expect(auto.governor).toBe(governor);
    expect(governor.mode).toBe('on');
    auto[Symbol.dispose]();
    expect(governor.disposed).toBe(false);
  });

  it('that was made here ends with the rest, and leaves no timer and no listener behind', async () => {
    const names = ['SIGUSR2', 'uncaughtExceptionMonitor', 'exit', 'SIGTERM', 'uncaughtException', 'warning'];
    const counts = () => names.map((name) => process.listenerCount(name));
    const before = counts();
    const { clock, governor, auto } = setUp({ PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed', PLIMSOLL_SIGNAL: 'SIGUSR2' });
    const { server, get } = await listen();
    expect(await get()).toBe('200 hello');
    auto[Symbol.dispose]();
    auto[Symbol.dispose]();
    governor[Symbol.dispose]();
    expect(clock.pending).toBe(0);
    expect(counts()).toEqual(before);
    expect(Object.getOwnPropertyNames(server)).not.toContain('emit');
  });
});

describe('requests', () => {
  it('are turned away under pressure where that was asked for, but health checks', async () => {
    const { use } = setUp({ PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed', PLIMSOLL_HTTP_FIRST: '/report/*' });
    const { get } = await listen();
    expect(await get()).toBe('200 hello');
    use(75);
    expect([await get(), await get('/report/7')]).toEqual(['200 hello', '503 ']);
    use(90);
    expect([await get(), await get('/healthz')]).toEqual(['503 ', '200 hello']);
    use(30);
    expect(await get()).toBe('200 hello');
  });

  it.each([{ PLIMSOLL: 'on' }, { PLIMSOLL: 'observe', PLIMSOLL_HTTP: 'shed' }])(
    'are left alone with %j',
    async (env) => {
      const { use } = setUp(env);
      const { get, server } = await listen();
      use(97);
      expect(await get()).toBe('200 hello');
      if (!('PLIMSOLL_HTTP' in env)) expect(Object.getOwnPropertyNames(server)).not.toContain('emit');
    },
  );

  it('are let in again at the kill switch', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-auto-'));
    const path = join(folder, 'control');
    const { governor, clock, lines, use } = setUp({ PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed', PLIMSOLL_CONTROL: path });
    const { get } = await listen();
    use(90);
    expect(await get()).toBe('503 ');
    writeFileSync(path, 'off');
    clock.advance(1_000);
    expect(governor.mode).toBe('off');
    expect(await get()).toBe('200 hello');
    expect(lines).toContain(`off, by ${path}`);
    rmSync(folder, { recursive: true });
    clock.advance(1_000);
    expect(governor.mode).toBe('on');
  });
});

describe('a governor that is broken', () => {
  const all = {
    PLIMSOLL: 'on',
    PLIMSOLL_HTTP: 'shed',
    PLIMSOLL_CONTROL: '/nowhere/control',
    PLIMSOLL_SIGNAL: 'SIGUSR2',
  };

  it.each(['from the start', 'later'])('%s keeps no request from being answered', async (when) => {
    let breakIt = () => {};
    const { rss, clock } = setUp(all, (governor) => {
      const broken = breakable(governor);
      breakIt = () => broken.breakIt();
      if (when === 'from the start') breakIt();
      return broken.governor;
    });
    const { get } = await listen();
    expect(await get()).toBe('200 hello');
    breakIt();
    rss.bytes = 97 * MIB;
    clock.advance(10_000);
    process.emit('SIGUSR2', 'SIGUSR2');
    expect(await get()).toBe('200 hello');
    const later = await listen();
    expect(await later.get()).toBe('200 hello');
  });

  it('is told in a line for each part', () => {
    const { lines, clock, rss, governor } = setUp(all, (whole) => {
      const broken = breakable(whole);
      broken.breakIt();
      return broken.governor;
    });
    rss.bytes = 97 * MIB;
    governor.sample();
    clock.advance(10_000);
    const faults = lines.filter((line) => line.includes('failed, the program goes on: broken on purpose'));
    expect(faults.length).toBeGreaterThan(0);
    expect(new Set(faults).size).toBe(faults.length);
  });
});
