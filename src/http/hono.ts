import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Governor } from '../governor/index.ts';
import { isLargeUpload, NodeLine } from './node-line.ts';
import type { Refusal } from './refusals.ts';
import { ResponseEnds } from './response-ends.ts';
import { ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';

/** By this header `@hono/node-server` knows that the response has been sent past it. */
const ALREADY_SENT = 'x-hono-already-sent';

/** What is used of a Hono context. Under `@hono/node-server` its `env` has Node's request and response. */
export interface HonoContextShape {
  readonly req: { readonly method: string; readonly path: string };
  readonly env?: unknown;
  set(name: string, value: unknown): void;
}

/**
 * Middleware for Hono: `app.use` it first. With option `scope`, `c.get('memoryScope')` is the request's; it lasts to the end of the response under
 * `@hono/node-server`, elsewhere to the end of the handler, which is before a streamed body. Errors of handlers take the ways they took. Throws `RangeError`
 * for unsound options, at once.
 * @example
 * import { honoLine } from 'plimsoll/http';
 * app.use(honoLine(governor, { firstToGo: ['/report/*'] }));
 */
export function honoLine(
  governor: Governor,
  options: ShedPolicyOptions = {},
): (context: HonoContextShape, next: () => Promise<void>) => Promise<Response | undefined> {
  const policy = new ShedPolicy(governor, options);
  const ends = new ResponseEnds();
  const line = new NodeLine(policy);
  const answer = ({ env }: HonoContextShape, refusal: Refusal): Response => {
    const { incoming, outgoing } = nodeSide(env);
    if (incoming === undefined || outgoing === undefined || !isLargeUpload(incoming)) return responseOf(refusal);
    line.refuse(incoming, outgoing, refusal);
    const sent = new Response(null, { headers: { [ALREADY_SENT]: 'true' } });
    // One whose body was never looked at is sent by a shorter way, which does not look for the header.
    void sent.body;
    return sent;
  };
  return (context, next) => {
    const { method, path } = context.req;
    const refusal = policy.decide({ method, path });
    if (refusal !== undefined) return Promise.resolve(answer(context, refusal));
    if (!policy.hasScopes) return next() as Promise<undefined>;
    return inScope(policy, ends, context, next, answer);
  };
}

function inScope(
  policy: ShedPolicy,
  ends: ResponseEnds,
  context: HonoContextShape,
  next: () => Promise<void>,
  answer: (context: HonoContextShape, refusal: Refusal) => Response,
) {
  const { incoming, outgoing } = nodeSide(context.env);
  return new Promise<Response | undefined>((resolve, reject) => {
    let isOver = false;
    let end: (() => void) | undefined;
    const after = () => {
      isOver = true;
      if (outgoing === undefined) end?.();
    };
    policy.span(context.req, {
      work(scope) {
        if (scope !== undefined) context.set('memoryScope', scope);
        next()
          .finally(after)
          .then(() => resolve(undefined), reject);
      },
      until(onEnd) {
        end = onEnd;
        if (incoming !== undefined && outgoing !== undefined) ends.watch(incoming, outgoing, onEnd);
      },
      refuse: (refusal) => resolve(answer(context, refusal)),
      // What the handler returns after this is passed over.
      abort: (refusal) => (isOver ? outgoing?.destroy() : resolve(responseOf(refusal))),
    });
  });
}

function nodeSide(env: unknown): {
  readonly incoming?: IncomingMessage | undefined;
  readonly outgoing?: ServerResponse | undefined;
} {
  const { incoming, outgoing } = (env ?? {}) as { incoming?: IncomingMessage; outgoing?: ServerResponse };
  const isNode = typeof (incoming as EventEmitter | undefined)?.once === 'function';
  return isNode && typeof (outgoing as EventEmitter | undefined)?.once === 'function' ? { incoming, outgoing } : {};
}

function responseOf({ status, headers, body }: Refusal): Response {
  // Without its length no body would be sent in pieces.
  const sent = { ...headers, 'content-length': String(new TextEncoder().encode(body).length) };
  return new Response(body === '' ? null : body, { status, headers: sent });
}
