import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { Agent, Dispatcher, request } from 'undici';

/**
 * undici in parts: the agent and `request` alone cost 15 MB of RSS, the whole package 27 (measured), and this program needs no more. Loaded
 * at the first call only. Timeouts are the caller's: all of undici's own are off, so that an injected clock rules.
 */
export interface HttpAgent extends AsyncDisposable {
  request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>;
}

/**
 * Disposing it closes all connections at once. None is announced to be closed after its answer (`Connection: close`): servers then do close,
 * some without saying so in turn, and that is the path undici stumbles on (see `acceptCloseAtEnd`).
 */
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
    pipelining: 1,
    keepAliveTimeout: 1,
  });
  const { kSocket, kParser } = load('undici/lib/core/symbols.js') as Readonly<Record<string, symbol>>;
  agent.on('connect', (_origin, targets) => acceptCloseAtEnd(targets.at(-1), kSocket!, kParser!));
  return {
    request: (options) => send.call(agent, options) as Promise<Dispatcher.ResponseData>,
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

type UndiciSocket = Record<symbol, { statusCode: number; shouldKeepAlive: boolean } | null> & EventEmitter;

/**
 * A server may end the connection right behind the last byte of its answer. undici 8.12 takes that for a failure when the answer did not
 * say `Connection: close` and its reader was slow at that moment: its parser then is paused short of the answer's end. That no answer
 * follows is true once the other side has ended, and with it undici first parses what has arrived, and still reports what is short of
 * the announced length. Inside an answer only; a connection of HTTP/2 has no such parser.
 */
function acceptCloseAtEnd(client: unknown, kSocket: symbol, kParser: symbol): void {
  const socket = (client as Record<symbol, UndiciSocket | null> | undefined)?.[kSocket];
  socket?.prependListener('end', () => {
    const parser = socket[kParser];
    if (parser && parser.statusCode > 0) parser.shouldKeepAlive = false;
  });
}
