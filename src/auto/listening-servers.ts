import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';

/** A server that hears requests. */
export type WebServer = EventEmitter;

/** One of `node:http` or `node:https`, which can be drained. */
export interface DrainableServer extends WebServer {
  readonly listening: boolean;
  close(callback?: (error?: Error) => void): unknown;
  closeIdleConnections(): void;
  closeAllConnections(): void;
}

/** Published by `node:net` since Node 20 whenever a server is told to listen. */
const CHANNEL = 'tracing:net.server.listen:asyncStart';
/** A test run makes servers by the thousand. */
const SWEEP_ABOVE = 64;

/** Knows the HTTP servers of this process, without patching them and without keeping them alive. */
export class ListeningServers implements Disposable {
  readonly #onServer: (server: WebServer) => void;
  #known: WeakRef<WebServer>[] = [];
  /** Of which `onServer` has been told, those that were forgotten among them: they may listen again. */
  readonly #told = new WeakSet<WebServer>();
  readonly #onListen = (message: unknown) => {
    const server = (message as { readonly server?: unknown } | undefined)?.server;
    if (isDrainable(server) || isHttp2(server)) this.#note(server);
  };

  /** `onServer` is called with each when it is first told to listen, right before it does; it must not throw. */
  constructor(onServer: (server: WebServer) => void) {
    this.#onServer = onServer;
    subscribe(CHANNEL, this.#onListen);
  }

  /** Those of `node:http` and `node:https` that listen now. */
  current(): DrainableServer[] {
    return this.#known.map((one) => one.deref()).filter(isOpen);
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNEL, this.#onListen);
    this.#known = [];
  }

  #note(server: WebServer): void {
    if (this.#known.some((one) => one.deref() === server)) return;
    if (this.#known.length >= SWEEP_ABOVE) this.#known = this.#known.filter((one) => isListening(one.deref()));
    this.#known.push(new WeakRef(server));
    if (this.#told.has(server)) return;
    this.#told.add(server);
    this.#onServer(server);
  }
}

function isOpen(server: WebServer | undefined): server is DrainableServer {
  return isListening(server) && isDrainable(server);
}

const isListening = (server: unknown): boolean => (server as { listening?: unknown } | undefined)?.listening === true;

/** By its verbs: those of `node:net` and of HTTP/2 have no connections of this sort to close. */
function isDrainable(value: unknown): value is DrainableServer {
  if (typeof value !== 'object' || value === null) return false;
  const { close, closeIdleConnections, closeAllConnections } = value as Partial<DrainableServer>;
  return [close, closeIdleConnections, closeAllConnections].every((verb) => typeof verb === 'function');
}

/** Their classes are not to be had without loading `node:http2`, and a program that has none need not. */
function isHttp2(value: unknown): value is WebServer {
  return /^Http2(Secure)?Server$/.test((value as object | undefined)?.constructor?.name ?? '');
}
