import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Governor } from '../governor/index.ts';
import { copyOptions, invalidOption } from '../invalid-option.ts';
import { NodeLine } from './node-line.ts';
import { SHED_POLICY_OPTIONS, ShedPolicy, type ShedPolicyOptions } from './shed-policy.ts';

export interface ServerLineOptions extends ShedPolicyOptions {
  /** Whether requests to upgrade, to WebSocket say, are turned away as well. They have no scope. Default false. */
  readonly upgrades?: boolean;
}

type Emit = (event: string | symbol, ...args: unknown[]) => boolean;

/** Marks the listeners of lines, those of another copy of this package included: several lines may stand before one server. */
const OF_A_LINE = Symbol.for('plimsoll.server-line');

/**
 * Puts the line before a server as it stands, whatever framework listens to it, until the result is disposed: for services that are not to be changed, for
 * frameworks without an adapter, and to turn calls away before `100 Continue`, so that a body that nobody wants is never sent.
 *
 * It stands in the server's `emit`, so that nothing that was registered, before or after, hears of a call that is turned away. Throws `RangeError` for unsound
 * options, at once.
 * @example
 * import { lineServer } from 'plimsoll/http';
 * using line = lineServer(governor, server, { upgrades: true });
 */
export function lineServer(governor: Governor, server: EventEmitter, options: ServerLineOptions = {}): Disposable {
  const given = copyOptions('lineServer', options, [...SHED_POLICY_OPTIONS, 'upgrades']);
  const { upgrades = false, ...policy } = given;
  if (typeof upgrades !== 'boolean') throw invalidOption('upgrades', 'a boolean', upgrades);
  if (typeof server?.emit !== 'function' || typeof server.on !== 'function') {
    throw invalidOption('server', 'a server of `node:http`', server);
  }
  return new ServerLine(server, new ShedPolicy(governor, policy), upgrades);
}

class ServerLine implements Disposable {
  readonly #server: EventEmitter;
  readonly #policy: ShedPolicy;
  readonly #line: NodeLine;
  readonly #upgrades: boolean;
  readonly #emit: Emit;
  /** As it stood in the server itself; mostly it is its class's. */
  readonly #before: PropertyDescriptor | undefined;
  readonly #ours: Emit;
  #isOff = false;

  constructor(server: EventEmitter, policy: ShedPolicy, upgrades: boolean) {
    this.#server = server;
    this.#policy = policy;
    this.#line = new NodeLine(policy);
    this.#upgrades = upgrades;
    this.#emit = server.emit;
    this.#before = Object.getOwnPropertyDescriptor(server, 'emit');
    this.#ours = (event, ...args) => this.#hear(event, args);
    Object.defineProperty(server, 'emit', { value: this.#ours, configurable: true, writable: true, enumerable: false });
    Object.assign(this.#onExpect, { [OF_A_LINE]: true });
    // Where nobody listens, Node sends 100 Continue before anybody is asked.
    server.on('checkContinue', this.#onExpect);
  }

  [Symbol.dispose](): void {
    if (this.#isOff) return;
    this.#isOff = true;
    this.#server.off('checkContinue', this.#onExpect);
    // Somebody has put his own over it: then it only passes on.
    if (this.#server.emit !== this.#ours) return;
    if (this.#before === undefined) delete (this.#server as { emit?: unknown }).emit;
    else Object.defineProperty(this.#server, 'emit', this.#before);
  }

  readonly #onExpect = (request: IncomingMessage, response: ServerResponse): void => {
    const listeners = this.#server.listeners('checkContinue');
    // Others who listen answer for themselves; of several lines the innermost does, when all have been asked.
    if (listeners[0] !== this.#onExpect || !listeners.every((one) => OF_A_LINE in one)) return;
    response.writeContinue();
    this.#pass('request', [request, response]);
  };

  #hear(event: string | symbol, args: unknown[]): boolean {
    if (this.#isOff) return this.#pass(event, args);
    if (event === 'request' || event === 'checkContinue') {
      const [request, response] = args as [IncomingMessage, ServerResponse];
      this.#line.run(request, response, () => this.#pass(event, args), event === 'checkContinue');
      return true;
    }
    if (event === 'upgrade' && this.#upgrades) {
      const [request, socket] = args as [IncomingMessage, Duplex];
      const refusal = this.#policy.decide({ method: request.method ?? 'GET', path: request.url ?? '/' });
      if (refusal !== undefined) {
        this.#line.refuseUpgrade(socket, refusal);
        return true;
      }
    }
    return this.#pass(event, args);
  }

  #pass(event: string | symbol, args: unknown[]): boolean {
    return Reflect.apply(this.#emit, this.#server, [event, ...args]);
  }
}
