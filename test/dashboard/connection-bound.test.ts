import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { expect, it } from 'vitest';
import { ConnectionBound } from '../../src/dashboard/connection-bound.ts';

class FakeSocket extends EventEmitter {
  destroyed = false;
  isHeld = true;

  unref(): void {
    this.isHeld = false;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function make(most: number) {
  const server = new EventEmitter();
  const bound = new ConnectionBound(server as unknown as Server, most);
  const connect = () => {
    const socket = new FakeSocket();
    server.emit('connection', socket);
    return socket;
  };
  /** Gives what ends the answer. */
  const ask = (socket: FakeSocket) => {
    const response = new EventEmitter();
    server.emit('request', { socket }, response);
    return () => response.emit('close');
  };
  return { bound, connect, ask };
}

it('where there are as many, the one that has asked for nothing for longest makes room, and none keeps the process alive', () => {
  const { bound, connect, ask } = make(3);
  const [first, second, third] = [connect(), connect(), connect()];
  const end = ask(first);
  connect();
  expect([first, second, third].map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
  end();
  connect();
  connect();
  expect([first, third].map(({ destroyed }) => destroyed)).toEqual([false, true]);
  expect([bound.count, bound.turnedAway, first.isHeld]).toEqual([3, 3, false]);
});

it('where all are at work the new one is turned away', () => {
  const { bound, connect, ask } = make(2);
  const busy = [connect(), connect()];
  for (const socket of busy) ask(socket);
  const late = connect();
  expect([late, ...busy].map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  expect([bound.count, bound.turnedAway]).toEqual([2, 1]);
  busy[0]!.destroy();
  expect(connect().destroyed).toBe(false);
});
