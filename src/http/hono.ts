import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Governor } from '../governor/index.ts';
import type { Refusal } from './refusals.ts';
import { ResponseEnds } from './response-ends.ts';
import { ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';

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
  return (context, next) => {
    const { method, path } = context.req;
    const refusal = policy.decide({ method, path });
    if (refusal !== undefined) return Promise.resolve(responseOf(refusal));
    if (!policy.hasScopes) return next() as Promise<undefined>;
    return inScope(policy, ends, context, next);
  };
}

function inScope(policy: ShedPolicy, ends: ResponseEnds, context: HonoContextShape, next: () => Promise<void>) {
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
      refuse: (refusal) => resolve(responseOf(refusal)),
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
  return new Response(body === '' ? null : body, { status, headers });
}
