import type { GuideScanner } from './scanner.ts';

/** Where the guide goes: the caller gives a buffered file. */
export interface GuideSink {
  /** Takes `buffer[start, end)`; the buffer is used again once it returns or, if it gives a promise, once that resolves. */
  write(buffer: Buffer, start: number, end: number): void | Promise<void>;
}

/** Puts elements of the scanner's buffer into a sink, neighbours in one piece. */
export class SinkWriter {
  /** Bytes given to the sink, or about to be. */
  writtenBytes = 0;
  readonly scanner: GuideScanner;
  readonly #sink: GuideSink;
  #start = 0;
  #end = 0;
  #waiting: Promise<void> | undefined;

  constructor(sink: GuideSink, scanner: GuideScanner) {
    this.#sink = sink;
    this.scanner = scanner;
  }

  /** Whether the sink asked to wait: go on after `settle`. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** The scanner's element as it stands, with the white space before it. */
  keepElement(): void {
    const { lead, end } = this.scanner;
    if (this.#end !== lead || this.#end === this.#start) {
      this.#flush();
      this.#start = lead;
    }
    this.#end = end;
  }

  /** `[start, end)` of the scanner's buffer. */
  keepSpan(start: number, end: number): void {
    if (start === end) return;
    if (this.#end !== start || this.#end === this.#start) {
      this.#flush();
      this.#start = start;
    }
    this.#end = end;
  }

  /** Bytes of its own, that nobody changes any more. */
  put(bytes: Buffer): void {
    this.#flush();
    this.#write(bytes, 0, bytes.length);
  }

  /** What is left in the scanner's buffer is written; a promise when that takes time. */
  settle(): Promise<void> | undefined {
    this.#flush();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  async writeBytes(bytes: Buffer): Promise<void> {
    this.put(bytes);
    await this.settle();
  }

  #flush(): void {
    if (this.#end > this.#start) this.#write(this.scanner.buffer, this.#start, this.#end);
    this.#start = this.#end = 0;
  }

  #write(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.writtenBytes += end - start;
    if (this.#waiting !== undefined) {
      this.#waiting = this.#waiting.then(() => this.#sink.write(bytes, start, end));
      return;
    }
    const written = this.#sink.write(bytes, start, end);
    if (written !== undefined) this.#waiting = written;
  }
}
