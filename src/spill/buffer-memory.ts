import type { FailOpen } from '../fail-open.ts';
import type { Consumer } from '../governor/index.ts';

/**
 * What buffers of one run take, in the books of a consumer where there is one. A consumer that is broken or disposed is passed over and counted as a fault: who spills is in need of memory,
 * and shall not fail for the books.
 */
export class BufferMemory {
  readonly #memory: Consumer | undefined;
  readonly #failOpen: FailOpen;
  #heldBytes = 0;

  constructor(memory: Consumer | undefined, failOpen: FailOpen) {
    this.#memory = memory;
    this.#failOpen = failOpen;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Disposing the result gives them back; twice is safe. Undefined when there is no room. Never throws. */
  tryTake(bytes: number): Disposable | undefined {
    const memory = this.#memory;
    let reservation: Disposable | undefined;
    if (memory !== undefined) {
      try {
        reservation = memory.tryReserve(bytes);
        if (reservation === undefined) return undefined;
      } catch (cause) {
        this.#failOpen.note(cause);
      }
    }
    return this.#hold(bytes, reservation);
  }

  /** The first of several sizes for which there is room, the largest first. Throws what the consumer throws when there is none even for the last. */
  take(sizes: readonly number[]): { readonly bytes: number; readonly held: Disposable } {
    for (const bytes of sizes) {
      const held = this.tryTake(bytes);
      if (held !== undefined) return { bytes, held };
    }
    const bytes = sizes.at(-1)!;
    return { bytes, held: this.#hold(bytes, this.#memory!.reserve(bytes)) };
  }

  #hold(bytes: number, reservation: Disposable | undefined): Disposable {
    this.#heldBytes += bytes;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#heldBytes -= bytes;
        this.#failOpen.run(() => reservation?.[Symbol.dispose](), undefined);
      },
    };
  }
}
