/**
 * Server-sent events, as WHATWG's HTML standard has them (section 9.2.6, "Interpreting an event stream"), from the answer of a `fetch`.
 */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  readonly id?: string;
}

/** An event that is longer is none of ours. */
const MOST_CHARACTERS = 4 * 1_048_576;
/** What a line of data counts for beside its text: lines without any take room as well. */
const LINE_CHARACTERS = 64;

/** Takes text as it comes, in pieces cut anywhere. Throws `RangeError` for an event that is too long. */
export class EventStreamParser {
  #rest = '';
  #data: string[] = [];
  #size = 0;
  #event = '';
  #id: string | undefined;

  /** The events that ended in this piece. */
  take(piece: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    // What has no end yet is not searched for one again and again.
    const isPart = !this.#rest.endsWith('\r') && !/[\r\n]/.test(piece);
    const text = this.#rest + piece;
    // A carriage return at the end may be the first half of a line's end.
    const lines = isPart ? [text] : text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop()!;
    if (this.#rest.length + this.#size > MOST_CHARACTERS) throw new RangeError('An event of the stream is too long');
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0) {
          const id = this.#id === undefined ? {} : { id: this.#id };
          events.push({ event: this.#event === '' ? 'message' : this.#event, data: this.#data.join('\n'), ...id });
        }
        this.#data = [];
        this.#size = 0;
        this.#event = '';
      } else this.#field(line);
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') {
      this.#data.push(value);
      this.#size += value.length + LINE_CHARACTERS;
    } else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }
}
