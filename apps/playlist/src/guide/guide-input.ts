import type { Consumer } from 'plimsoll';
import type { ByteSource } from '../sources/byte-source.ts';
import { SourceError } from '../sources/source-error.ts';
import { type GuideDamage, GuideDamagedError } from './guide-damage.ts';
import { GuideScanner, type ScannerOptions, Token } from './scanner.ts';

/** One guide, decompressed and in UTF-8 (`guideText` sees to that). */
export interface GuideInput {
  /** For messages: never a credential. */
  readonly label: string;
  /** Opens it from the start. It is read twice at least, and must be the same each time: a download comes from its file. */
  readonly open: () => Promise<ByteSource>;
  /** `keep` (default): damage is reported, what can be read is kept. `refuse`: `GuideDamagedError`. What cannot be read, though it may be whole, is no damage: that error is thrown. */
  readonly onDamage?: 'keep' | 'refuse';
}

export interface GuideReaderOptions {
  readonly signal?: AbortSignal;
  /** First size of the scanner's buffer. Default 512 KiB. */
  readonly bufferBytes?: number;
  /** The longest element that is kept. Default 4 MiB. */
  readonly maxElementBytes?: number;
}

/**
 * Goes through guides from beginning to end, one at a time, with one scanner for all of them. What is done with an element is synchronous; where it has to
 * wait, it says so and the reader pauses.
 */
export class GuideReader implements Disposable {
  readonly scanner: GuideScanner;
  readonly #signal: AbortSignal | undefined;
  #guide: GuideInput | undefined;
  #onDamage: (damage: GuideDamage) => void = () => {};
  #wants: () => boolean = () => true;
  #cause: unknown;

  /** The scanner's buffer is reserved from `consumer`; the caller disposes. */
  constructor(consumer: Consumer, options: GuideReaderOptions = {}) {
    this.#signal = options.signal;
    const scannerOptions: ScannerOptions = {
      onDamage: (kind, byteOffset) => this.#damaged({ kind, byteOffset }),
      wants: () => this.#wants(),
      ...(options.bufferBytes !== undefined && { bufferBytes: options.bufferBytes }),
      ...(options.maxElementBytes !== undefined && { maxElementBytes: options.maxElementBytes }),
    };
    this.scanner = new GuideScanner(consumer, scannerOptions);
  }

  /** Reads `guide` and hands each element to `handler`. Resolves to true when it came to the end, false when the handler stopped it. */
  async read(guide: GuideInput, handler: ElementHandler): Promise<boolean> {
    const scanner = this.scanner;
    this.#guide = guide;
    this.#onDamage = handler.onDamage;
    this.#wants = handler.wants;
    this.#cause = undefined;
    scanner.restart();
    await using source = await guide.open();
    let failed = false;
    for (;;) {
      this.#signal?.throwIfAborted();
      const step = drain(scanner, handler);
      const waiting = handler.beforeRefill();
      if (waiting !== undefined) await waiting;
      if (step === Step.stop) return false;
      if (step === Step.end) return true;
      if (step === Step.pause || failed) continue;
      try {
        await scanner.refill(source);
      } catch (cause) {
        this.#signal?.throwIfAborted();
        if (!isDamage(cause)) throw cause;
        failed = true;
        this.#cause = cause;
        this.#damaged({ kind: 'read-error', byteOffset: scanner.readBytes, detail: cause.message });
        scanner.endHere();
      }
    }
  }

  [Symbol.dispose](): void {
    this.scanner[Symbol.dispose]();
  }

  #damaged(damage: GuideDamage): void {
    const guide = this.#guide!;
    if (guide.onDamage === 'refuse') throw new GuideDamagedError(guide.label, damage, this.#cause);
    this.#onDamage(damage);
  }
}

/** What is done with the elements of a guide. */
export interface ElementHandler {
  /** As `ScannerOptions.wants`. */
  readonly wants: () => boolean;
  /** An element. `pause`: call `beforeRefill` before the next one. `stop`: call it and read no more. */
  readonly onElement: (token: number) => 'go' | 'pause' | 'stop';
  /** The spans of the scanner's buffer become void: write what is left in it, and wait if need be. */
  readonly beforeRefill: () => Promise<void> | undefined;
  readonly onDamage: (damage: GuideDamage) => void;
}

/** Compressed content that is not whole stays so, however often it is read; a disk that fails says nothing of what is on it. */
function isDamage(cause: unknown): cause is SourceError {
  return cause instanceof SourceError && (cause.fault === 'truncated' || cause.fault === 'damaged');
}

const Step = { more: 0, pause: 1, end: 2, stop: 3 } as const;

function drain(scanner: GuideScanner, handler: ElementHandler): number {
  for (;;) {
    const token = scanner.next();
    if (token === Token.more) return Step.more;
    if (token === Token.end) return Step.end;
    const what = handler.onElement(token);
    if (what === 'go') continue;
    return what === 'stop' ? Step.stop : Step.pause;
  }
}
