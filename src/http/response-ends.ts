import type { IncomingMessage, ServerResponse } from 'node:http';

interface Connection {
  readonly ends: Set<() => void>;
  readonly onClose: () => void;
}

/**
 * Tells when a response has ended: sent, given up, or cut off. Node 20 says nothing of a response that waits behind others on a connection that breaks
 * (pipelining), so each connection is listened to as well, once, however many requests are on it.
 */
export class ResponseEnds implements Disposable {
  readonly #byConnection = new Map<IncomingMessage['socket'], Connection>();

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

  /** Listens to no connection any more. */
  [Symbol.dispose](): void {
    for (const [socket, { onClose }] of this.#byConnection) socket.off('close', onClose);
    this.#byConnection.clear();
  }

  #of(socket: IncomingMessage['socket']): Set<() => void> {
    const known = this.#byConnection.get(socket);
    if (known !== undefined) return known.ends;
    const ends = new Set<() => void>();
    const onClose = () => {
      this.#byConnection.delete(socket);
      for (const end of [...ends]) end();
    };
    this.#byConnection.set(socket, { ends, onClose });
    socket.once('close', onClose);
    return ends;
  }
}
