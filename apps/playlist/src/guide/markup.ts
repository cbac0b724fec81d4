/** More bytes are needed to tell. */
export const INCOMPLETE = -1;

const NEVER = Number.MAX_SAFE_INTEGER;
const ENDS = [Buffer.alloc(0), Buffer.from('-->'), Buffer.from(']]>'), Buffer.from('?>')] as const;
const LT = 0x3c;
const BANG = 0x21;
const QUESTION = 0x3f;
const COMMENT = 1;
const SECTION = 2;
const INSTRUCTION = 3;

/**
 * Finds comments, CDATA sections and processing instructions in a buffer, and their ends. Remembers what it found and what it did not find,
 * so that each byte is searched once for each kind of thing, however often the same place is asked for.
 */
export class MarkupFinder {
  /** First `<!` and first `<?` from `#since` on, `NEVER` when there is none before `#until`. */
  #bang = NEVER;
  #question = NEVER;
  #since = 0;
  #until = 0;
  /** For each kind: from `#from` on its end stands at `#found`, or nowhere before `#searched`. */
  readonly #from = [0, 0, 0, 0];
  readonly #searched = [0, 0, 0, 0];

  restart(): void {
    this.#bang = NEVER;
    this.#question = NEVER;
    this.#since = 0;
    this.#until = 0;
    this.#from.fill(0);
    this.#searched.fill(0);
  }

  /** The buffer's content moved towards its start by `bytes`. */
  moved(bytes: number): void {
    this.#since = Math.max(0, this.#since - bytes);
    this.#until = Math.max(0, this.#until - bytes);
    if (this.#bang !== NEVER) this.#bang -= bytes;
    if (this.#question !== NEVER) this.#question -= bytes;
    for (let kind = 1; kind < 4; kind++) {
      this.#from[kind] = Math.max(0, this.#from[kind]! - bytes);
      this.#searched[kind] = Math.max(0, this.#searched[kind]! - bytes);
    }
  }

  /** Offset of the first `<!` or `<?` in `[at, used)`, else `used`. Going back costs a search of the bytes between. */
  next(buffer: Buffer, at: number, used: number): number {
    if (used !== this.#until) {
      this.#bang = -1;
      this.#question = -1;
    } else if (at < this.#since) {
      // Back to a place before the last one: only what lies between is new.
      const bang = seek(buffer, BANG, at, this.#since, used);
      const question = seek(buffer, QUESTION, at, this.#since, used);
      if (bang !== NEVER) this.#bang = bang;
      if (question !== NEVER) this.#question = question;
    }
    if (this.#bang < at) this.#bang = seek(buffer, BANG, at, used, used);
    if (this.#question < at) this.#question = seek(buffer, QUESTION, at, used, used);
    this.#since = at;
    this.#until = used;
    return Math.min(this.#bang, this.#question, used);
  }

  /** Behind the comment, section, instruction or declaration that begins at `at`; INCOMPLETE when its end is not there. */
  end(buffer: Buffer, at: number, used: number): number {
    if (at + 4 > used) return INCOMPLETE;
    if (buffer[at + 1] === 0x3f) return this.endOf(INSTRUCTION, buffer, at + 2, used);
    if (buffer[at + 2] === 0x2d && buffer[at + 3] === 0x2d) return this.endOf(COMMENT, buffer, at + 4, used);
    if (buffer[at + 2] === 0x5b) return this.endOf(SECTION, buffer, at + 3, used);
    // `<!` and nothing that may stand in an element: leave it, the balance check will see it.
    return at + 2;
  }

  /** Behind the end of a comment (1), CDATA section (2) or processing instruction (3) whose content begins at `from`. */
  endOf(kind: 1 | 2 | 3, buffer: Buffer, from: number, used: number): number {
    const end = ENDS[kind];
    // Nothing stood in [#from, #searched), whose last bytes may still be the beginning of an end.
    const known = from >= this.#from[kind]! && this.#searched[kind]! > from;
    const start = known ? Math.max(from, this.#searched[kind]! - end.length + 1) : from;
    if (start < used) {
      const at = (used === buffer.length ? buffer : buffer.subarray(0, used)).indexOf(end, start);
      if (at >= 0) return at + end.length;
    }
    if (!known) this.#from[kind] = from;
    this.#searched[kind] = known ? Math.max(used, this.#searched[kind]!) : used;
    return INCOMPLETE;
  }
}

/**
 * Offset of the first `<` + `second` whose `<` is in `[at, until)` and that ends before `used`. Looking for the second byte, which is rare,
 * takes half the time of looking for both.
 */
function seek(buffer: Buffer, second: number, at: number, until: number, used: number): number {
  const last = Math.min(until, used - 1);
  for (let from = at + 1; from <= last; ) {
    const hit = buffer.indexOf(second, from);
    if (hit < 0 || hit > last) return NEVER;
    if (buffer[hit - 1] === LT) return hit - 1;
    from = hit + 1;
  }
  return NEVER;
}

/**
 * Behind the DOCTYPE whose text goes on at `from`, with its internal subset; INCOMPLETE when its end is not there. Quotes, comments and
 * instructions are respected, nothing is fetched, nothing expanded.
 */
export function doctypeEnd(buffer: Buffer, from: number, used: number): number {
  let inSubset = false;
  let declarations = 0;
  for (let at = from; at < used; at++) {
    const byte = buffer[at]!;
    if (byte === 0x22 || byte === 0x27) {
      at = buffer.indexOf(byte, at + 1);
      if (at < 0) return INCOMPLETE;
    } else if (byte === 0x5b && declarations === 0) inSubset = true;
    else if (byte === 0x5d && declarations === 0) inSubset = false;
    else if (byte === 0x3c) {
      const isComment = buffer[at + 1] === 0x21 && buffer[at + 2] === 0x2d && buffer[at + 3] === 0x2d;
      if (isComment || buffer[at + 1] === 0x3f) {
        const end = ENDS[isComment ? COMMENT : INSTRUCTION];
        at = buffer.indexOf(end, at + (isComment ? 4 : 2));
        if (at < 0 || at + end.length > used) return INCOMPLETE;
        at += end.length - 1;
      } else declarations++;
    } else if (byte === 0x3e) {
      if (declarations > 0) declarations--;
      else if (!inSubset) return at + 1;
    }
  }
  return INCOMPLETE;
}
