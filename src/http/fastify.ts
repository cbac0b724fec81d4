import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Governor, Scope } from '../governor/index.ts';
import { invalidOption } from '../invalid-option.ts';
import { isLargeUpload, NodeLine } from './node-line.ts';
import type { Refusal } from './refusals.ts';
import { ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';

/** What is used of a Fastify request, 4.10 and newer. */
export interface FastifyRequestShape {
  readonly raw: IncomingMessage;
  readonly method: string;
  readonly url: string;
  readonly routeOptions?: { readonly url?: string; readonly config?: unknown };
}

/** What is used of a Fastify reply. */
export interface FastifyReplyShape {
  readonly raw: ServerResponse;
  code(status: number): unknown;
  headers(headers: Record<string, string>): unknown;
  send(body?: string): unknown;
  hijack(): unknown;
}

type Hook = (request: never, reply: never, next: () => void) => void;

/** What is used of a Fastify instance. */
export interface FastifyShape {
  addHook(name: 'onRequest', hook: Hook): unknown;
  decorateRequest(name: string, value?: unknown): unknown;
  hasRequestDecorator(name: string): boolean;
}

export interface FastifyLineOptions extends ShedPolicyOptions {
  readonly governor: Governor;
}

/** Fastify's own among the options of a plugin. */
const OF_REGISTER: ReadonlySet<string> = new Set(['prefix', 'logLevel', 'logSerializers', 'encapsulate']);

/**
 * Plugin for Fastify 4 and 5. Register it first, on the root: it holds for all routes of the instance and of those that are registered after it.
 * A route may say of itself `config: { plimsoll: 'exempt' }` or `'first'`, which goes before the lists. The scope of a request, with option `scope`, is
 * `request.memoryScope`, and named for its route. Answers go through `reply.send`, so that hooks and logs see them, unless a large body is still coming in.
 * Boot fails with `RangeError` for unsound options.
 * @example
 * import { fastifyLine } from 'plimsoll/http';
 * app.register(fastifyLine, { governor, firstToGo: ['/report/*'] });
 */
export function fastifyLine(instance: FastifyShape, options: FastifyLineOptions, done: (error?: Error) => void): void {
  try {
    install(instance, options);
  } catch (cause) {
    done(cause as Error);
    return;
  }
  done();
}

/** By these Fastify knows a plugin that is no world of its own, and what to call it. */
Object.assign(fastifyLine, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'plimsoll',
});

function install(instance: FastifyShape, { governor, ...options }: FastifyLineOptions): void {
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => !OF_REGISTER.has(name)));
  const policy = new ShedPolicy(governor, own);
  const line = new NodeLine(policy);
  if (typeof instance?.addHook !== 'function') throw invalidOption('instance', 'a Fastify instance', instance);
  if (policy.hasScopes && !instance.hasRequestDecorator('memoryScope')) instance.decorateRequest('memoryScope', null);

  instance.addHook('onRequest', (request: FastifyRequestShape, reply: FastifyReplyShape, next) => {
    const { raw, method, routeOptions } = request;
    const refuse = (refusal: Refusal) => {
      if (!isLargeUpload(raw)) return answer(reply, refusal);
      reply.hijack();
      line.refuse(raw, reply.raw, refusal);
    };
    const refusal = policy.decide({ method, path: request.url }, markOf(routeOptions?.config));
    if (refusal !== undefined) return void refuse(refusal);
    if (!policy.hasScopes) return next();
    const work = (scope?: Scope) => {
      if (scope !== undefined) (request as { memoryScope?: Scope }).memoryScope = scope;
      next();
    };
    line.span({ method, path: request.url, route: routeOptions?.url }, raw, reply.raw, { work, refuse });
  });
}

function answer(reply: FastifyReplyShape, { status, headers, body }: Refusal) {
  const { connection, ...others } = headers;
  reply.code(status);
  // HTTP/2 has no such header.
  reply.headers(connection === undefined || reply.raw.req.httpVersionMajor >= 2 ? others : headers);
  // An empty text would be sent with a content type.
  if (body === '') reply.send();
  else reply.send(body);
}

function markOf(config: unknown): 'exempt' | 'first' | undefined {
  const mark = (config as { plimsoll?: unknown } | null | undefined)?.plimsoll;
  return mark === 'exempt' || mark === 'first' ? mark : undefined;
}
