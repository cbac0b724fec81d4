import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.ts';
import type { Refusal } from './request-gate.ts';

export const MOST_BODY_BYTES = 1_024;
const BODY_MS = 5_000;
const TOO_LARGE: Refusal = { status: 413, error: `the body has more than ${MOST_BODY_BYTES} bytes` };
const NO_JSON: Refusal = { status: 400, error: 'the body is no JSON object' };

/** Either the object that a request carries, or why it is refused. */
export type Body = { readonly value: Readonly<Record<string, unknown>> } | { readonly refusal: Refusal };

/**
 * The JSON object in a body of at most 1 KiB that is there within five seconds. Where a framework has read it already, what that made of it. Never rejects.
 */
export function readSmallBody(request: IncomingMessage, clock: Clock): Promise<Body> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    return refused({ status: 415, error: 'send `application/json`' });
  }
  if (Number(request.headers['content-length'] ?? 0) > MOST_BODY_BYTES) return refused(TOO_LARGE);
  if (request.readableEnded) {
    const { body } = request as { body?: unknown };
    return Promise.resolve(isObject(body) ? { value: body } : { refusal: NO_JSON });
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (body: Body): void => {
      late[Symbol.dispose]();
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      if ('refusal' in body) request.pause();
      resolve(body);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > MOST_BODY_BYTES) end({ refusal: TOO_LARGE });
      else chunks.push(chunk);
    };
    const onEnd = (): void => end(parse(Buffer.concat(chunks).toString()));
    const onClose = (): void => end({ refusal: NO_JSON });
    const late = clock.after(BODY_MS, () => end({ refusal: { status: 408, error: 'the body came too late' } }));
    request.on('data', onData).on('end', onEnd).on('close', onClose);
    request.on('error', () => {});
  });
}

function refused(refusal: Refusal): Promise<Body> {
  return Promise.resolve({ refusal });
}

function parse(text: string): Body {
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text);
    return isObject(value) ? { value } : { refusal: NO_JSON };
  } catch {
    return { refusal: NO_JSON };
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
