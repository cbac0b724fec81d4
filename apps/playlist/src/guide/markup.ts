import { LastSearches } from './last-searches.ts';

/** More bytes are needed to tell. */
export const INCOMPLETE = -1;

const ENDS = [Buffer.alloc(0), Buffer.from('-->'), Buffer.from(']]>'), Buffer.from('?>')] as const;
const LT = 0x3c;
const BANG = 0x21;
const QUESTION = 0x3f;
const COMMENT = 1;
const SECTION = 2;
const INSTRUCTION = 3;

/**
 * Finds comments, CDATA sections and processing instructions in a buffer, and their ends. Remembers what it found and what it did not find,
 * so that a place is not searched again and again, however often it is asked for.
 */
export class MarkupFinder {
  readonly #bangs = new LastSearches(2, (buffer, at, used) => seek(buffer, BANG, at, used));
  readonly #questions = new LastSearches(2, (buffer, at, used) => seek(buffer, QUESTION, at, used));
  /** By kind. */
  readonly #ends = ENDS.map(
    (end) => new LastSearches(end.length, (buffer, at, used) => seekEnd(buffer, end, at, used)),
  );

  /** Bytes looked at so far, for tests that bound the work. */
  get searchedBytes(): number {
    let sum = this.#bangs.searchedBytes + this.#questions.searchedBytes;
    for (const ends of this.#ends) sum += ends.searchedBytes;
    return sum;
  }

  restart(): void {
    this.#bangs.restart();
    this.#questions.restart();
    for (const ends of this.#ends) ends.restart();
  }

  /** The buffer's content moved towards its start by `bytes`. */
  moved(bytes: number): void {
    this.#bangs.moved(bytes);
    this.#questions.moved(bytes);
    for (const ends of this.#ends) ends.moved(bytes);
  }

  /** Offset of the first `<!` or `<?` in `[at, used)`, else `used`. */
  next(buffer: Buffer, at: number, used: number): number {
    const bang = this.#bangs.next(buffer, at, used);
    const question = this.#questions.next(buffer, at, used);
    if (bang < 0) return question < 0 ? used : question;
    return question < 0 || bang < question ? bang : question;
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
    const at = this.#ends[kind]!.next(buffer, from, used);
    return at < 0 ? INCOMPLETE : at + ENDS[kind].length;
  }
}

/** Looking for the second byte of `<!` and `<?`, which is rare, takes half the time of looking for both. */
function seek(buffer: Buffer, second: number, at: number, used: number): number {
  const filled = used === buffer.length ? buffer : buffer.subarray(0, used);
  for (let from = at + 1; from < used; ) {
    const hit = filled.indexOf(second, from);
    if (hit < 0) return -1;
    if (buffer[hit - 1] === LT) return hit - 1;
    from = hit + 1;
  }
  return -1;
}

function seekEnd(buffer: Buffer, end: Buffer, at: number, used: number): number {
  return at < used ? (used === buffer.length ? buffer : buffer.subarray(0, used)).indexOf(end, at) : -1;
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
