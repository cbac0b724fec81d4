import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Governor, Scope } from '../governor/index.ts';
import { invalidOption } from '../invalid-option.ts';
import { NodeLine } from './node-line.ts';
import { ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';

/** A listener of `request`. The scope is the request's, where requests have scopes; it is `request.memoryScope` as well. */
export type LinedHandler = (request: IncomingMessage, response: ServerResponse, scope?: Scope) => unknown;

/**
 * Puts the line before a handler of `node:http`, `node:https` or HTTP/2's compatibility API: calls are turned away by the governor's load-shed points, the rest go
 * on as they did. With option `scope` each has a scope to the end of its response; what the scope's abort leaves unanswered is answered, or cut off.
 * Under 0.1 µs a call without scopes, with them 4 to 5 µs, and 2.3 KB until it ends. Throws `RangeError` for unsound options, at once.
 * To turn calls away before `100 Continue`, or requests to upgrade, take `lineServer`.
 * @example
 * import { createServer } from 'node:http';
 * import { withLine } from 'plimsoll/http';
 * createServer(withLine(governor, (request, response) => response.end('hello'), { firstToGo: ['/report/*'] })).listen(8080);
 */
export function withLine(
  governor: Governor,
  handler: LinedHandler,
  options: ShedPolicyOptions = {},
): (request: IncomingMessage, response: ServerResponse) => unknown {
  if (typeof handler !== 'function') throw invalidOption('handler', 'a function', handler);
  const line = new NodeLine(new ShedPolicy(governor, options));
  return (request, response) => {
    let outcome: unknown;
    let isBack = false;
    let follow: ((outcome: unknown) => void) | undefined;
    line.run(request, response, (scope) => {
      outcome = handler(request, response, scope);
      follow?.(outcome);
      isBack = true;
    });
    // A server that captures rejections answers for a promise that it is given, also of a handler that is called when there is room.
    return isBack || response.writableEnded ? outcome : new Promise((resolve) => void (follow = resolve));
  };
}
