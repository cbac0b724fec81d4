/** Remembers the last channel attribute: most programmes stand beside others of the same channel. */
export class ChannelId {
  #last = Buffer.alloc(256);
  #length = -1;

  forget(): void {
    this.#length = -1;
  }

  /** Whether `bytes[start, end)` is another value than at the last call. An absent one (start -1) equals an empty one. */
  changed(bytes: Buffer, start: number, end: number): boolean {
    const length = start < 0 ? 0 : end - start;
    const last = this.#last;
    let i = 0;
    if (length === this.#length) {
      while (i < length && bytes[start + i] === last[i]) i++;
      if (i === length) return false;
    }
    // Values longer than the memory always count as changed.
    this.#length = length <= last.length ? length : -1;
    for (i = 0; i < length && i < last.length; i++) last[i] = bytes[start + i]!;
    return true;
  }
}
