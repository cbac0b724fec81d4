import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Tells when a response has ended: sent, given up, or cut off. Node 20 says nothing of a response that waits behind others on a connection that breaks
 * (pipelining), so each connection is listened to as well, once, however many requests are on it.
 */
export class ResponseEnds {
  readonly #byConnection = new WeakMap<object, Set<() => void>>();

  /** Calls `end` once: at once when it is over already. */
  watch(request: IncomingMessage, response: ServerResponse, end: () => void): void {
    const { socket } = request;
    if (response.destroyed || response.writableFinished || socket?.destroyed) {
      end();
      return;
    }
    // A stream of HTTP/2 says so itself, and what it calls its socket is shared with others.
    const others = 'stream' in response || typeof socket?.once !== 'function' ? undefined : this.#of(socket);
    let isOver = false;
    const finish = () => {
      if (isOver) return;
      isOver = true;
      others?.delete(finish);
      end();
    };
    others?.add(finish);
    response.once('close', finish);
    // Where requests are made up by a test, nothing may ever close.
    response.once('finish', finish);
  }

  #of(socket: IncomingMessage['socket']): Set<() => void> {
    const known = this.#byConnection.get(socket);
    if (known !== undefined) return known;
    const ends = new Set<() => void>();
    this.#byConnection.set(socket, ends);
    socket.once('close', () => {
      for (const end of [...ends]) end();
    });
    return ends;
  }
}
