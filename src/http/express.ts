import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Governor } from '../governor/index.ts';
import { NodeLine } from './node-line.ts';
import { ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';

/**
 * Middleware for Express 4 and 5, connect, and Nest on Express: `app.use` it first. Paths are those of the whole URL, wherever it is mounted. The scope of a
 * request, with option `scope`, is `request.memoryScope`. Errors of handlers take the ways they took. Throws `RangeError` for unsound options, at once.
 * @example
 * import { expressLine } from 'plimsoll/http';
 * app.use(expressLine(governor, { firstToGo: ['/report/*'] }));
 */
export function expressLine(
  governor: Governor,
  options: ShedPolicyOptions = {},
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void {
  const line = new NodeLine(new ShedPolicy(governor, options));
  return (request, response, next) => line.run(request, response, () => next());
}
