/**
 * Servers under the line: calls are turned away in time, a request holds no more than its part, and a process that must go goes politely. For `node:http`,
 * Express, Fastify and Hono, none of which is imported.
 * @module
 */
export type { Call, CallMatch } from './call-match.ts';
export { Drain, type DrainableServer, type DrainOptions, type DrainReport } from './drain.ts';
export { expressLine } from './express.ts';
export {
  type FastifyLineOptions,
  type FastifyReplyShape,
  type FastifyRequestShape,
  type FastifyShape,
  fastifyLine,
} from './fastify.ts';
export { type HonoContextShape, honoLine } from './hono.ts';
export { type LinedHandler, withLine } from './node-http.ts';
export type { LinedRequest } from './node-line.ts';
export {
  type PoliteRecycle,
  type PoliteRecycleOptions,
  politeRecycle,
  type RecycleEvent,
  type RecycleReason,
  type RecycleState,
} from './polite-recycle.ts';
export type { Refusal, RefusalOptions, RetryAfterRange } from './refusals.ts';
export type { RequestScopeOptions, ScopeForRequest, ScopeLife } from './request-scopes.ts';
export { lineServer, type ServerLineOptions } from './server-line.ts';
export { SHED_POLICY_DEFAULTS, ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';
