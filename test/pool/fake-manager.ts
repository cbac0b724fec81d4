import type { ConnectionManager, CreateCall, ManagerCall } from 'plimsoll/pool';
import { expect } from 'vitest';

/** What a server does when it is asked for a connection. */
export type CreateMode = 'at once' | 'soon' | 'by hand' | 'throws' | 'rejects' | 'hangs';
export type AnswerMode = 'at once' | 'soon' | 'no' | 'throws' | 'rejects' | 'hangs';

export class FakeConnection {
  readonly id: number;
  readonly lost: (cause?: unknown) => void;
  open = true;
  /** How often it was made good. */
  recycled = 0;
  /** Somebody said that it may be broken, and it has not been asked since. */
  suspected = false;

  constructor(id: number, lost: (cause?: unknown) => void) {
    this.id = id;
    this.lost = lost;
  }
}

interface PendingCreate {
  readonly call: CreateCall;
  succeed(): FakeConnection;
  fail(cause: unknown): void;
}

/** A server and its connections, each of whose answers a test decides. Nothing is closed twice, and nothing is asked of what is closed. */
export class FakeManager implements ConnectionManager<FakeConnection> {
  create_: CreateMode = 'at once';
  valid_: AnswerMode = 'at once';
  recycle_: AnswerMode = 'at once';
  destroy_: AnswerMode = 'at once';
  readonly all: FakeConnection[] = [];
  /** Creates that are under way by hand or for ever. */
  readonly pending: PendingCreate[] = [];
  readonly calls: ManagerCall[] = [];
  asked = { create: 0, isValid: 0, recycle: 0, destroy: 0 };
  mostOpen = 0;

  get open(): FakeConnection[] {
    return this.all.filter((connection) => connection.open);
  }

  create(call: CreateCall): FakeConnection | Promise<FakeConnection> {
    this.asked.create++;
    const make = (): FakeConnection => {
      const connection = new FakeConnection(this.all.length + 1, call.lost);
      this.all.push(connection);
      this.mostOpen = Math.max(this.mostOpen, this.open.length);
      return connection;
    };
    const cause = new Error('the server is down');
    switch (this.create_) {
      case 'at once':
        return make();
      case 'soon':
        return Promise.resolve().then(make);
      case 'throws':
        throw cause;
      case 'rejects':
        return Promise.reject(cause);
      default: {
        const { promise, resolve, reject } = Promise.withResolvers<FakeConnection>();
        const leave = () => this.pending.splice(this.pending.indexOf(pending), 1);
        const pending: PendingCreate = {
          call,
          succeed() {
            leave();
            const connection = make();
            resolve(connection);
            return connection;
          },
          fail(why) {
            leave();
            reject(why);
          },
        };
        this.pending.push(pending);
        return promise;
      }
    }
  }

  isValid(connection: FakeConnection, call: ManagerCall): boolean | Promise<boolean> {
    this.asked.isValid++;
    expect(connection.open, `${connection.id} is looked at and closed`).toBe(true);
    this.calls.push(call);
    connection.suspected = false;
    return answer(this.valid_, true, false) as boolean | Promise<boolean>;
  }

  recycle(connection: FakeConnection, call: ManagerCall): unknown {
    this.asked.recycle++;
    expect(connection.open, `${connection.id} is made good and closed`).toBe(true);
    this.calls.push(call);
    connection.recycled++;
    return answer(this.recycle_, undefined, false);
  }

  destroy(connection: FakeConnection, call: ManagerCall): unknown {
    this.asked.destroy++;
    expect(connection.open, `${connection.id} is closed twice`).toBe(true);
    connection.open = false;
    this.calls.push(call);
    return answer(this.destroy_, undefined, undefined);
  }
}

function answer(mode: AnswerMode, yes: unknown, no: unknown): unknown {
  switch (mode) {
    case 'at once':
      return yes;
    case 'soon':
      return Promise.resolve(yes);
    case 'no':
      return no;
    case 'throws':
      throw new Error('on purpose');
    case 'rejects':
      return Promise.reject(new Error('on purpose'));
    case 'hangs':
      return new Promise(() => {});
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
}

/** How a promise stands, without waiting for it. */
export function watch<T>(promise: Promise<T>): {
  state: 'waits' | 'done' | 'failed';
  value?: T;
  error?: { code?: string; message: string; cause?: unknown };
} {
  const seen: ReturnType<typeof watch<T>> = { state: 'waits' };
  promise.then(
    (value) => Object.assign(seen, { state: 'done', value }),
    (error) => Object.assign(seen, { state: 'failed', error }),
  );
  return seen;
}
