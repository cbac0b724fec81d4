import type { BodyHold } from './body-hold.ts';

type Room = Promise<void> | undefined;

interface Step {
  readonly roomFor: () => Room;
  readonly act: () => void;
}

/** Steps of a body in order: while one waits for room, those that follow it are kept. */
export class HeldFlow {
  readonly #hold: BodyHold;
  readonly #pause: () => void;
  readonly #resume: () => void;
  readonly #fail: (cause: unknown) => void;
  readonly #kept: Step[] = [];
  #isWaiting = false;
  #isOver = false;

  /** `pause` and `resume` are for who sends; `fail` ends it all. */
  constructor(hold: BodyHold, pause: () => void, resume: () => void, fail: (cause: unknown) => void) {
    this.#hold = hold;
    this.#pause = pause;
    this.#resume = resume;
    this.#fail = fail;
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Has `act` called when it is its turn and there is the room that it takes: at once as a rule, and then what either throws is thrown. */
  run(roomFor: () => Room, act: () => void): void {
    if (this.#isOver) return;
    const step = { roomFor, act };
    if (this.#isWaiting) this.#kept.push(step);
    else this.#take(step);
  }

  /** Nothing that is kept is done any more. */
  end(): void {
    this.#isOver = true;
    this.#kept.length = 0;
    this.#hold.release();
  }

  #take({ roomFor, act }: Step): void {
    const room = roomFor();
    if (room === undefined) {
      act();
      return;
    }
    this.#isWaiting = true;
    this.#pause();
    room.then(
      () => this.#goOn(act),
      (cause) => this.#stop(cause),
    );
  }

  #goOn(act: () => void): void {
    if (this.#isOver) return;
    this.#isWaiting = false;
    try {
      act();
      while (!this.#isOver && !this.#isWaiting) {
        const step = this.#kept.shift();
        if (step === undefined) break;
        this.#take(step);
      }
    } catch (cause) {
      this.#stop(cause);
      return;
    }
    if (!this.#isOver && !this.#isWaiting) this.#resume();
  }

  #stop(cause: unknown): void {
    if (this.#isOver) return;
    this.end();
    this.#fail(cause);
  }
}

/** For a step that takes no room, or does nothing. */
export const noRoom = (): undefined => undefined;

/** What is to be waited for before a body comes, by its headers. Throws when it is too long. */
export function expectBody(
  hold: BodyHold,
  status: number,
  noBody: boolean,
  header: (name: string) => string | undefined,
): Promise<void> | undefined {
  if (noBody || status === 204 || status === 304) return hold.expect(0);
  const length = header('content-length');
  if (length === undefined || !/^\d{1,15}$/.test(length)) return hold.expectAtLeast(0);
  return header('content-encoding') === undefined ? hold.expect(Number(length)) : hold.expectAtLeast(Number(length));
}
