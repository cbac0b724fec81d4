import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { download } from '../../src/sources/download.ts';
import { createHttpAgent } from '../../src/sources/http-agent.ts';
import { type Answer, MisbehavingServer } from './misbehaving-server.ts';

let folder: string;
let server: MisbehavingServer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playlist-download-'));
  server = await new MisbehavingServer().start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Every look at it finds it `stepMs` later; nothing ever falls due. */
class SteppingClock implements Clock {
  readonly #stepMs: number;
  #nowMs = 0;

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  now(): number {
    this.#nowMs += this.#stepMs;
    return this.#nowMs;
  }

  wall(): number {
    return 0;
  }

  after(): Disposable {
    return { [Symbol.dispose]: () => {} };
  }
}

const PIECES = 400;
/** Each piece in a turn of its own. */
const drip =
  (bytes: number): Answer =>
  (_, response) => {
    let left = PIECES;
    const next = () => {
      if (response.destroyed) return;
      if (left-- === 0) response.end();
      else response.write('x'.repeat(bytes), () => setImmediate(next));
    };
    next();
  };

async function fetchWith(stepMs: number, timeoutMs: number) {
  await using agent = createHttpAgent();
  const path = join(folder, 'got');
  const { signal } = new AbortController();
  const url = `${server.origin}/x`;
  const rest = { retryCount: 0, maxBytes: 1e8, headers: {}, clock: new SteppingClock(stepMs), signal };
  await download({ url, label: 'far', path, timeoutMs, agent, ...rest });
  return readFileSync(path).length;
}

describe('content that comes slowly', () => {
  it('is given up when it comes at less than 1 KiB/s over 30 s, though no pause is too long', async () => {
    server.answers = [drip(1)];
    await expect(fetchWith(10_000, 1000)).rejects.toMatchObject({
      fault: 'network',
      message: expect.stringMatching(/^far: sent only \d+ bytes in 30 s$/),
    });
  });

  it('is waited for as long as one timeout, where that is longer', async () => {
    server.answers = [drip(1)];
    expect(await fetchWith(900, 3_600_000)).toBe(PIECES);
  });

  it('is taken when it is a little faster than that', async () => {
    server.answers = [drip(1500)];
    expect(await fetchWith(900, 1000)).toBe(PIECES * 1500);
  });
});
