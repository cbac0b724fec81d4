import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Keeps the connections of a server within a number. Where there are as many, the one that has been asking for nothing for longest makes room for a new one; where
 * all are at work, the new one is turned away. So a thousand that only connect keep nobody out. None of them keeps the process alive.
 */
export class ConnectionBound {
  readonly #most: number;
  readonly #all = new Set<Socket>();
  readonly #idle = new Set<Socket>();
  #turnedAway = 0;

  constructor(server: Server, maxConnections: number) {
    this.#most = maxConnections;
    server.on('connection', (socket: Socket) => this.#onConnection(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const { socket } = request;
      this.#idle.delete(socket);
      response.on('close', () => {
        if (!socket.destroyed) this.#idle.add(socket);
      });
    });
  }

  get count(): number {
    return this.#all.size;
  }

  /** Connections that were closed, or not let in, because there were as many. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  #onConnection(socket: Socket): void {
    socket.unref();
    if (this.#all.size >= this.#most) {
      this.#turnedAway++;
      const [longest] = this.#idle;
      if (longest === undefined) {
        socket.destroy();
        return;
      }
      this.#forget(longest);
      longest.destroy();
    }
    this.#all.add(socket);
    this.#idle.add(socket);
    socket.on('close', () => this.#forget(socket));
  }

  #forget(socket: Socket): void {
    this.#all.delete(socket);
    this.#idle.delete(socket);
  }
}
