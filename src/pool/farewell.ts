/** Those who wait until a pool that is closed has everything back. */
export class Farewell {
  #waiting: (() => void)[] = [];
  #over = false;

  /** Resolves when `end` has been called; rejects with the signal's reason when it is aborted before that. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#over) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== onEnd);
        reject(signal!.reason);
      };
      const onEnd = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#waiting.push(onEnd);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  end(): void {
    this.#over = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const onEnd of waiting) onEnd();
  }
}
