import { createRequire } from 'node:module';
import type { Agent, Dispatcher, request } from 'undici';

/**
 * undici in parts: the agent and `request` alone cost 15 MB of RSS, the whole package 27 (measured), and this program needs no more. Loaded
 * at the first call only. Timeouts are the caller's: all of undici's own are off, so that an injected clock rules.
 */
export interface HttpAgent extends AsyncDisposable {
  request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>;
}

/** Keeps no connection longer than needed; disposing it closes all at once. */
export function createHttpAgent(): HttpAgent {
  const load = createRequire(import.meta.url);
  const AgentClass = load('undici/lib/dispatcher/agent.js') as typeof Agent;
  const send = load('undici/lib/api/api-request.js') as (
    this: Dispatcher,
    options: Dispatcher.RequestOptions,
  ) => ReturnType<typeof request>;
  const agent = new AgentClass({
    connect: { timeout: 0 },
    headersTimeout: 0,
    bodyTimeout: 0,
    pipelining: 0,
    keepAliveTimeout: 1,
  });
  return {
    request: (options) => send.call(agent, options) as Promise<Dispatcher.ResponseData>,
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}
