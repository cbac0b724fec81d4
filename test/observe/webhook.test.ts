import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { Webhook } from '../../src/observe/webhook.ts';
import type { WebhookFetch, WebhookOptions } from '../../src/observe/webhook-options.ts';

const KEY = Buffer.alloc(32, 7);
const SECRET = `whsec_${KEY.toString('base64')}`;
const URL_TEXT = 'https://hooks.example/alerts?token=hidden';

const settled = async () => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};

type Sent = { readonly url: string; readonly init: Parameters<WebhookFetch>[1] };

/** A receiver that answers by a list, the last answer again and again; a thrown error is one too. */
function receiver(...answers: (number | Error | 'hang' | { readonly status: number; readonly after: string })[]) {
  const sent: Sent[] = [];
  const fetch: WebhookFetch = async (url, init) => {
    const answer = answers[Math.min(sent.length, answers.length - 1)]!;
    sent.push({ url, init });
    if (answer instanceof Error) throw answer;
    if (answer === 'hang') return await new Promise(() => {});
    const { status, after } = typeof answer === 'number' ? { status: answer, after: null } : answer;
    return { status, headers: { get: (name) => (name === 'retry-after' ? after : null) } };
  };
  return { sent, fetch };
}

function made(fetch: WebhookFetch, more: Partial<WebhookOptions> = {}) {
  const clock = new ManualClock(1_000_000);
  const webhook = new Webhook({ url: URL_TEXT, secret: SECRET, fetch, clock, random: () => 1, ...more });
  return { clock, webhook };
}

const signatureOf = (id: string, timestamp: string, body: string) =>
  `v1,${createHmac('sha256', KEY).update(`${id}.${timestamp}.${body}`).digest('base64')}`;

describe('a webhook', () => {
  it('posts signed JSON to a real server, and does not follow where it is sent on to', async () => {
    const got: { readonly headers: IncomingHttpHeaders; readonly body: string; readonly line: string }[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        got.push({ headers: request.headers, body, line: `${request.method} ${request.url}` });
        if (got.length === 1) response.writeHead(204).end();
        else response.writeHead(307, { location: '/elsewhere' }).end('moved');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`;
      const webhook = new Webhook({ url, secret: SECRET });
      webhook.send({ rule: 'drift' });
      await webhook.whenIdle();
      webhook.send({ rule: 'drift' });
      await webhook.whenIdle();
      expect(webhook.stats).toMatchObject({ delivered: 1, failed: 1, attempts: 2, lastFailure: 'status 307' });
      expect(got.map(({ line }) => line)).toEqual(['POST /alerts', 'POST /alerts']);
      const { headers, body } = got[0]!;
      expect(body).toBe('{"rule":"drift"}');
      expect(headers['content-type']).toBe('application/json');
      const [id, timestamp] = [String(headers['webhook-id']), String(headers['webhook-timestamp'])];
      expect(Math.abs(Number(timestamp) - Date.now() / 1_000)).toBeLessThan(60);
      expect(headers['webhook-signature']).toBe(signatureOf(id, timestamp, body));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('signs what the specification signs', async () => {
    const { sent, fetch } = receiver(200);
    const { webhook } = made(fetch);
    webhook.send({ a: 1 });
    await webhook.whenIdle();
    const { headers, body, redirect } = sent[0]!.init;
    expect(redirect).toBe('manual');
    expect(headers['webhook-timestamp']).toBe('1000');
    expect(headers['webhook-signature']).toBe(signatureOf(headers['webhook-id']!, '1000', body));
  });

  it('tries again with the same id and a new timestamp, twice as late each time, then gives up', async () => {
    const { sent, fetch } = receiver(408, new Error(URL_TEXT), 429);
    const { clock, webhook } = made(fetch, { maxAttempts: 4 });
    webhook.send(1);
    await settled();
    for (const waitMs of [1_000, 2_000, 4_000]) {
      const before = sent.length;
      clock.advance(waitMs - 1);
      await settled();
      expect(sent).toHaveLength(before);
      clock.advance(1);
      await settled();
      expect(sent).toHaveLength(before + 1);
    }
    await webhook.whenIdle();
    expect(webhook.stats).toMatchObject({ attempts: 4, failed: 1, delivered: 0, queued: 0, lastFailure: 'status 429' });
    expect(new Set(sent.map(({ init }) => init.headers['webhook-id'])).size).toBe(1);
    expect(sent.map(({ init }) => init.headers['webhook-timestamp'])).toEqual(['1000', '1001', '1003', '1007']);
    expect(clock.pending).toBe(0);
  });

  it('waits by chance between half of the time and all of it, and as long as it is asked to within its bound', async () => {
    const early = receiver(500, 200);
    const half = made(early.fetch, { random: () => 0 });
    half.webhook.send(1);
    await settled();
    half.clock.advance(500);
    await settled();
    expect(half.webhook.stats.delivered).toBe(1);
    const capped = receiver(500);
    const { webhook: last, clock: hands } = made(capped.fetch, {
      random: () => 0,
      backOffMs: 900,
      maxBackOffMs: 1_000,
    });
    last.send(1);
    await settled();
    for (const waitMs of [450, 500, 500, 500]) {
      hands.advance(waitMs);
      await settled();
    }
    expect(last.stats).toMatchObject({ attempts: 5, failed: 1 });
    const asked = receiver({ status: 503, after: '7' }, { status: 503, after: '9999' }, 200);
    const { clock, webhook } = made(asked.fetch);
    webhook.send(1);
    await settled();
    clock.advance(6_999);
    await settled();
    expect(asked.sent).toHaveLength(1);
    clock.advance(1);
    await settled();
    expect(asked.sent).toHaveLength(2);
    clock.advance(60_000);
    await settled();
    expect(webhook.stats.delivered).toBe(1);
  });

  it('does not try again what would not be mended, and stops for good where the receiver is gone', async () => {
    const bad = receiver(400);
    const first = made(bad.fetch);
    first.webhook.send(1);
    await first.webhook.whenIdle();
    expect(first.webhook.stats).toMatchObject({ attempts: 1, failed: 1, off: false });
    const gone = receiver(410);
    const { webhook } = made(gone.fetch, { maxConcurrent: 1 });
    webhook.send(1);
    webhook.send(2);
    await webhook.whenIdle();
    expect(webhook.send(3)).toBe(false);
    expect(webhook.stats).toMatchObject({ attempts: 1, failed: 1, dropped: 2, off: true });
  });

  it('does not try again what was under way when the receiver was found to be gone', async () => {
    const { clock, webhook } = made(receiver(410, 500).fetch);
    webhook.send(1);
    webhook.send(2);
    await webhook.whenIdle();
    expect(webhook.stats).toMatchObject({ attempts: 2, failed: 2, queued: 0, off: true });
    expect(clock.pending).toBe(0);
  });

  it('ends a request that takes too long, also where fetch minds no signal', async () => {
    const { sent, fetch } = receiver('hang', 200);
    const { clock, webhook } = made(fetch);
    webhook.send(1);
    clock.advance(15_000);
    await settled();
    expect(sent[0]!.init.signal.aborted).toBe(true);
    expect(webhook.stats).toMatchObject({ underWay: 0, queued: 1, lastFailure: 'timed out' });
    clock.advance(1_000);
    await settled();
    expect(webhook.stats).toMatchObject({ delivered: 1, queued: 0 });
    expect(clock.pending).toBe(0);
  });

  it('has no more under way and waiting than it may, and drops the rest', async () => {
    const { sent, fetch } = receiver('hang');
    const { webhook } = made(fetch, { maxConcurrent: 2, maxQueued: 3 });
    const taken = Array.from({ length: 9 }, (_, n) => webhook.send(n));
    expect(taken.filter(Boolean)).toHaveLength(5);
    await settled();
    expect(sent).toHaveLength(2);
    expect(webhook.stats).toMatchObject({ underWay: 2, queued: 3, dropped: 4 });
  });

  it('does not send again what was answered well, whatever letting go of the answer does', async () => {
    let calls = 0;
    const get = () => {
      throw new Error('no headers');
    };
    const cancel = () => (calls++ === 0 ? Promise.reject(new Error('late')) : get());
    const { webhook } = made(async () => ({ status: 204, headers: { get }, body: { cancel } }));
    webhook.send(1);
    webhook.send(2);
    await webhook.whenIdle();
    await settled();
    expect(webhook.stats).toMatchObject({ attempts: 2, delivered: 2 });
    expect(calls).toBe(2);
  });

  it('keeps one promise for all who wait until it is idle', async () => {
    const { webhook } = made(receiver(200).fetch);
    webhook.send(1);
    expect(webhook.whenIdle()).toBe(webhook.whenIdle());
    await webhook.whenIdle();
    webhook.send(2);
    await webhook.whenIdle();
    expect(webhook.stats.delivered).toBe(2);
  });

  it('drops what is no JSON or too long', () => {
    const { fetch } = receiver(200);
    const { webhook } = made(fetch, { maxBodyBytes: 10 });
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    for (const payload of [undefined, circle, 5n, 'x'.repeat(11), 'éééééé']) expect(webhook.send(payload)).toBe(false);
    expect(webhook.stats).toMatchObject({ accepted: 0, dropped: 5 });
  });

  it('drops what it has when it is disposed, once, and aborts what is under way', async () => {
    const { sent, fetch } = receiver('hang');
    const { clock, webhook } = made(fetch, { maxConcurrent: 1 });
    webhook.send(1);
    webhook.send(2);
    const idle = webhook.whenIdle();
    webhook[Symbol.dispose]();
    webhook[Symbol.dispose]();
    await idle;
    await settled();
    expect(sent[0]!.init.signal.aborted).toBe(true);
    expect(webhook.send(3)).toBe(false);
    expect(webhook.stats).toMatchObject({ accepted: 2, dropped: 3, failed: 0, underWay: 0, queued: 0 });
    expect(clock.pending).toBe(0);
  });

  it('shows neither secret nor address, whatever fails', async () => {
    const { fetch } = receiver(new Error(`${URL_TEXT} ${SECRET}`));
    const { webhook } = made(fetch, { maxAttempts: 1 });
    webhook.send(1);
    await webhook.whenIdle();
    const texts = [JSON.stringify(webhook.stats), JSON.stringify(webhook), String(webhook)];
    const bad: object[] = [{ secret: SECRET.slice(0, 20) }, { secret: `${SECRET}!hidden` }, { url: `ftp://hidden` }];
    bad.push(
      { url: 'http://hooks.example/hidden' },
      { url: 'https://hidden:hidden@hooks.example/' },
      { url: 'hidden' },
    );
    for (const more of bad) {
      try {
        made(fetch, more);
        texts.push('hidden: was taken');
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        texts.push(String(error), JSON.stringify(error));
      }
    }
    for (const text of texts) {
      expect(text).not.toContain('hidden');
      expect(text).not.toContain(SECRET.slice(6, 20));
    }
  });

  it('refuses options that are none', () => {
    const { fetch } = receiver(200);
    const bad: object[] = [
      { maxQueued: 0 },
      { maxConcurrent: 0 },
      { maxAttempts: 0 },
      { timeoutMs: 0 },
      { backOffMs: 0 },
    ];
    bad.push(
      { backOffMs: 10, maxBackOffMs: 9 },
      { maxBodyBytes: 0 },
      { random: 1 },
      { fetch: 1 },
      { clock: {} },
      { uri: 1 },
      { url: 'http://not-localhost/' },
      { url: 'http://localhost.example/' },
      { secret: `whsec_${Buffer.alloc(513).toString('base64')}` },
    );
    for (const more of bad) expect(() => made(fetch, more)).toThrow(RangeError);
  });
});
