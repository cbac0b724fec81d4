/**
 * An intermediate: batches between who writes them and who reads them later. Where they stand and what that costs is `BatchPlaces`; here is which of them, and when.
 * - Appending and moving go through one turn. Reading goes beside it.
 * - The newest are moved first: they are read last.
 */
import { DisposedError } from '../errors.ts';
import { FailOpen } from '../fail-open.ts';
import { HolderBook, type HolderGovernor, type ReclaimRequest } from '../governor/index.ts';
import { checkOneOf, checkWhole, invalidOption } from '../invalid-option.ts';
import { codecAtHand, SPILL_CODECS, type SpillCodec } from '../spill/index.ts';
import { BatchPlaces, leastStoreBytes } from './batch-places.ts';
import {
  BatchStoreFullError,
  type BatchStoreOptions,
  type BatchStoreSettings,
  resolveBatchStoreOptions,
} from './batch-store-options.ts';
import type { ConsumerSource } from './pipeline-memory.ts';
import { MODE_RANKS, type PipelineMode } from './pipeline-mode.ts';
import type { StoredBatch } from './stored-batch.ts';
import { Turn } from './turn.ts';

export interface BatchStoreStats {
  readonly mode: PipelineMode;
  readonly batchCount: number;
  /** Of all batches that are there, as they were appended. */
  readonly rawBytes: number;
  /** Where they stand. */
  readonly plainCount: number;
  readonly compressedCount: number;
  readonly spilledCount: number;
  /** In memory, with bookkeeping and the room for moving and reading; and the part that cannot be given back. */
  readonly heldBytes: number;
  readonly pinnedBytes: number;
  readonly diskBytes: number;
  /** Batches that were compressed and that were written to the disk, so far. */
  readonly compressions: number;
  readonly spills: number;
  /** Writes that the disk refused or failed. After three failures in a row it is not asked again. */
  readonly spillFailures: number;
  /** Batches that found no room at all. */
  readonly refused: number;
  /** Calls of the governor that failed; the store went on by its own bound. */
  readonly faults: number;
}

/**
 * Keeps batches of bytes in order until they are read, once or several times: as they are in the modes `plain` and `streaming`, each compressed in `compressed`, on the disk, compressed, in
 * `spill`. `follow` changes the mode: a stricter one moves what is there, a freer one counts for what comes. Under a governor it is a consumer that gives back by compressing and then by spilling.
 * Where there is no room for a batch as it is, it is kept more strictly than the mode says. What is read is byte-equal whatever happened meanwhile; where the disk fails, batches stay in memory,
 * and what fits nowhere is `PLIMSOLL_BATCH_STORE_FULL`.
 *
 * Besides the batches it takes 320 bytes for each and, where it may compress or spill, twice the largest batch and 2 MiB for the codec (`deflate` 0.3). Whoever made it disposes it.
 * @example
 * import { BatchStore } from 'plimsoll/pipeline';
 * await using store = new BatchStore({ name: 'replay', maxBytes: 64 * 2 ** 20 });
 * await store.append(Buffer.from('first'));
 * await store.follow('compressed');
 * for await (const batch of store.read()) console.log(`${batch}`);
 */
export class BatchStore implements AsyncDisposable {
  readonly #settings: BatchStoreSettings;
  readonly #failOpen: FailOpen;
  readonly #book: HolderBook;
  readonly #places: BatchPlaces;
  readonly #turn = new Turn();
  #batches: StoredBatch[] = [];
  /** How many were taken or cleared: the number of the first one that is there. */
  #gone = 0;
  #mode: PipelineMode;
  #rawBytes = 0;
  #refused = 0;
  /** The reader whose batch has its room booked with the store. */
  #mainReader: object | undefined;
  #disposed = false;

  /** Throws `RangeError` for unsound options. */
  constructor(options: BatchStoreOptions) {
    const settings = resolveBatchStoreOptions(options);
    const { name, maxBytes, governor, parent, importance, codec, spill } = settings;
    const least = leastStoreBytes(codec, spill !== undefined);
    if (maxBytes < least) {
      throw invalidOption(
        'maxBytes',
        `at least ${least}, which a batch of one byte takes with codec \`${codec}\``,
        maxBytes,
      );
    }
    this.#settings = settings;
    this.#mode = settings.mode;
    this.#failOpen = new FailOpen(`batch store ${name}`);
    this.#book = new HolderBook(governor && bookable(governor), {
      name,
      kind: 'external',
      maxBytes,
      importance,
      ...(parent && { parent }),
      // Batches are large: a reservation for each is little.
      stepBytes: 0,
      failOpen: this.#failOpen,
      reclaimer: {
        reclaimableBytes: () => this.#places.movableBytes,
        reclaim: (request, { signal }) => this.#reclaim(request, signal),
      },
    });
    this.#places = new BatchPlaces(settings, this.#book);
  }

  /** The least `maxBytes` that a store takes: what a batch of one byte needs. `spills` is whether it has a disk. With `zstd` over 2 MiB, which compressing takes. */
  static leastBytes(codec: SpillCodec, spills = false): number {
    return leastStoreBytes(codecAtHand(checkOneOf('codec', codec, SPILL_CODECS)), spills);
  }

  get mode(): PipelineMode {
    return this.#mode;
  }

  get batchCount(): number {
    return this.#batches.length;
  }

  get stats(): BatchStoreStats {
    const counts = { plainCount: 0, compressedCount: 0, spilledCount: 0 };
    for (const { record, isPacked } of this.#batches) {
      if (record !== undefined) counts.spilledCount++;
      else if (isPacked) counts.compressedCount++;
      else counts.plainCount++;
    }
    return {
      mode: this.#mode,
      batchCount: this.#batches.length,
      rawBytes: this.#rawBytes,
      ...counts,
      heldBytes: this.#book.usedBytes,
      pinnedBytes: this.#places.pinnedBytes,
      diskBytes: this.#places.diskBytes,
      ...this.#places.counts,
      refused: this.#refused,
      faults: this.#failOpen.count,
    };
  }

  /**
   * Puts a batch behind the others. It is copied before this resolves, and must not change until then. Rejects with `PLIMSOLL_BATCH_STORE_FULL`, with the signal's reason, with `RangeError` for more
   * than `maxBatchBytes`, or with `PLIMSOLL_DISPOSED`; then nothing of it is kept.
   */
  append(batch: Uint8Array, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    return this.#turn.run(async () => {
      checkWhole('bytes of a batch', batch.byteLength, 0, this.#settings.maxBatchBytes);
      signal?.throwIfAborted();
      this.#checkOpen();
      const kept = await this.#keep(batch, signal);
      this.#batches.push(kept);
      this.#rawBytes += kept.rawBytes;
    });
  }

  /** How it works from now on. Resolves when what is there has been moved as far as that can be done. Never rejects. */
  follow(mode: PipelineMode): Promise<void> {
    const isStricter = MODE_RANKS[mode] > MODE_RANKS[this.#mode];
    if (this.#disposed || this.#settings.isForced || mode === this.#mode) return Promise.resolve();
    this.#mode = mode;
    if (!isStricter || MODE_RANKS[mode] < MODE_RANKS.compressed) return Promise.resolve();
    const isOver = () => this.#disposed || this.#mode !== mode;
    return this.#turn.run(() => this.#tighten(mode === 'spill', isOver));
  }

  /**
   * The batches in order, one at a time: each is valid until the next is asked for, and must not be changed. Ends when it has caught up. Several may read at once; the second and further ones need
   * room for a batch (`PLIMSOLL_BATCH_STORE_FULL`). Fails as the disk does (`PLIMSOLL_SPILL_CORRUPT`, `PLIMSOLL_SPILL_IO`), and with `PLIMSOLL_DISPOSED`.
   */
  read(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Buffer, void, undefined> {
    return this.#read(options.signal, false);
  }

  /** The same, letting go of each batch when the next is asked for. */
  take(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Buffer, void, undefined> {
    return this.#read(options.signal, true);
  }

  /** Lets go of all batches; of those in the hands of a reader when it has done with them. */
  clear(): Promise<void> {
    return this.#turn.run(async () => {
      const batches = this.#batches;
      this.#batches = [];
      this.#gone += batches.length;
      this.#rawBytes = 0;
      for (const batch of batches) this.#places.drop(batch);
    });
  }

  /** Lets go of all that it holds, in memory and on the disk. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.clear();
    await this.#places.close();
    this.#book[Symbol.dispose]();
  }

  #checkOpen(): void {
    if (this.#disposed) throw new DisposedError(`batch store ${this.#settings.name}`);
  }

  /** As the mode says, else wherever there is room. */
  async #keep(batch: Uint8Array, signal: AbortSignal | undefined): Promise<StoredBatch> {
    const places = this.#places;
    let begun = places.tryBegin(batch.byteLength);
    if (!begun) {
      await this.#makeRoom(batch.byteLength, signal);
      begun = places.tryBegin(batch.byteLength);
    }
    if (!begun) throw this.#full(batch.byteLength);
    try {
      const kept = (await this.#keepByMode(batch, signal)) ?? (await this.#keepAnyhow(batch, signal));
      if (kept !== undefined) return kept;
    } catch (error) {
      places.giveUp();
      throw error;
    }
    places.giveUp();
    throw this.#full(batch.byteLength);
  }

  async #keepByMode(batch: Uint8Array, signal: AbortSignal | undefined): Promise<StoredBatch | undefined> {
    const places = this.#places;
    const rank = MODE_RANKS[this.#mode];
    let kept: StoredBatch | undefined;
    if (rank >= MODE_RANKS.spill && places.canSpill) kept = await places.tryKeepOnDisk(batch, signal);
    if (rank >= MODE_RANKS.compressed && places.canCompress) kept ??= await places.tryKeepPacked(batch);
    return kept ?? places.tryKeep(batch);
  }

  async #keepAnyhow(batch: Uint8Array, signal: AbortSignal | undefined): Promise<StoredBatch | undefined> {
    const places = this.#places;
    await this.#makeRoom(batch.byteLength, signal);
    const kept = places.tryKeep(batch) ?? (await places.tryKeepPacked(batch));
    return kept ?? (places.canSpill ? await places.tryKeepOnDisk(batch, signal) : undefined);
  }

  #full(bytes: number): BatchStoreFullError {
    this.#refused++;
    const { name, maxBytes, spill, maxSpillBytes } = this.#settings;
    const held = `${this.#book.usedBytes} of ${maxBytes} bytes in memory`;
    const disk = spill === undefined ? 'there is no disk' : `${this.#places.diskBytes} of ${maxSpillBytes} on the disk`;
    return new BatchStoreFullError(name, bytes, `${held}, ${disk}`, this.#places.fault);
  }

  #makeRoom(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const until = this.#book.usedBytes - bytes;
    return this.#tighten(true, () => this.#book.usedBytes <= until || signal?.aborted === true);
  }

  async #reclaim({ targetBytes }: ReclaimRequest, signal: AbortSignal): Promise<number> {
    await this.#turn.run(async () => {
      const until = this.#book.usedBytes - targetBytes;
      await this.#tighten(true, () => this.#book.usedBytes <= until || signal.aborted || this.#disposed);
    });
    return 0;
  }

  /** Compresses what is in memory, and then writes it to the disk, the newest first, until `isOver`. Never rejects. */
  async #tighten(spills: boolean, isOver: () => boolean): Promise<void> {
    const places = this.#places;
    const end = this.#gone + this.#batches.length;
    // Some may be taken meanwhile, from the front: numbers stay.
    for (let at = end - 1; places.canCompress && at >= this.#gone && !isOver(); at--) {
      const batch = this.#batches[at - this.#gone];
      if (batch !== undefined && isLoose(batch)) await places.pack(batch);
    }
    for (let at = end - 1; spills && at >= this.#gone && !isOver() && places.canSpill; at--) {
      const batch = this.#batches[at - this.#gone];
      if (batch?.bytes !== undefined && batch.pins === 0) await places.spill(batch);
    }
  }

  async *#read(signal: AbortSignal | undefined, takes: boolean): AsyncGenerator<Buffer, void, undefined> {
    const places = this.#places;
    const reader = {};
    this.#mainReader ??= reader;
    try {
      for (let at = 0; ; at++) {
        signal?.throwIfAborted();
        this.#checkOpen();
        at = Math.max(at, this.#gone);
        const batch = this.#batches[at - this.#gone];
        if (batch === undefined) return;
        const roomBytes = this.#mainReader === reader ? 0 : batch.rawBytes;
        if (!places.tryTake(roomBytes)) throw this.#full(roomBytes);
        places.pin(batch);
        try {
          const loaded = await places.load(batch, signal);
          try {
            yield loaded.bytes;
          } finally {
            loaded.free();
          }
          if (takes) this.#letGo(batch);
        } finally {
          places.unpin(batch);
          places.give(roomBytes);
        }
      }
    } finally {
      if (this.#mainReader === reader) this.#mainReader = undefined;
    }
  }

  /** The first one; another who takes may have been quicker. */
  #letGo(batch: StoredBatch): void {
    if (this.#batches[0] !== batch) return;
    this.#batches.shift();
    this.#gone++;
    this.#rawBytes -= batch.rawBytes;
    this.#places.drop(batch);
  }
}

const isLoose = ({ bytes, isPacked, isStubborn, pins }: StoredBatch): boolean =>
  bytes !== undefined && !isPacked && !isStubborn && pins === 0;

/** A source of consumers as a book wants it: nothing is booked ahead, so what is available does not matter. */
function bookable(source: ConsumerSource): HolderGovernor {
  return { consumer: (options) => source.consumer(options), availableBytes: 0, disposed: false };
}
