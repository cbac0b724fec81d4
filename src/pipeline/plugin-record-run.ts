/**
 * One run of a stage whose work a plugin does as a whole. Invariants:
 * - Whatever was pulled from the input is in the store or is the batch in hands, until the plugin has finished or the native stage has taken it.
 * - Nothing of a plugin's output is handed on before all of it is there, has been looked over, and can be read back.
 * - What reading back takes is reserved when it is put away.
 */
import type { Clock } from '../clock.ts';
import type { Consumer, Reservation } from '../governor/index.ts';
import { levelRank } from '../governor/index.ts';
import { BatchStore } from './batch-store.ts';
import { NativeContext } from './native-context.ts';
import type { PluginChoice } from './plugin-choice.ts';
import type { PluginRecordSettings, PluginRecordStageOptions } from './plugin-record-stage.ts';
import { PluginWork } from './plugin-work.ts';
import { RECORD_FRAME_BYTES, RecordBatch } from './record-batch.ts';
import type { RecordCheck } from './record-check.ts';
import type { StageContext } from './stage.ts';
import { readWire, wirePieces } from './wire-records.ts';

export interface PluginRecordRunOptions {
  readonly options: PluginRecordStageOptions;
  readonly settings: PluginRecordSettings;
  readonly choice: PluginChoice;
  readonly clock: Pick<Clock, 'now'>;
  readonly context: StageContext;
}

/** A plugin is given up for another because of pressure at most so often; for the native stage at `emergency` always. */
const MOST_CHANGES = 2;
/** Of what the stage may keep: for what went in, and as much for what came out; the rest is for buffers. */
const STORE_PART = 3 / 8;
/** Below that deflate compresses: zstd takes 2 MiB while it does. */
const ROOM_FOR_ZSTD = 33_554_432;

const NOTHING = new Uint8Array(0);

/** Why a try has come to nothing. */
class Setback {
  readonly what: 'plugin' | 'room' | 'pressure';
  readonly cause: unknown;

  constructor(what: Setback['what'], cause: unknown) {
    this.what = what;
    this.cause = cause;
  }
}

export class PluginRecordRun implements AsyncDisposable {
  readonly #parts: PluginRecordRunOptions;
  readonly #work: PluginWork;
  readonly #kept: Consumer;
  readonly #buffers: Reservation;
  readonly #input: BatchStore;
  readonly #output: BatchStore;
  /** Pulled, and not in the store. */
  #inHands: RecordBatch | undefined;
  #wire: Buffer = Buffer.alloc(0);
  /** Reserved for the batch into which wire forms are read, and the batch. */
  #readBytes = 0;
  #readCount = 0;
  #batch: RecordBatch | undefined;
  #inputBytes = 0;
  #changes = 0;
  /** Spent in calls of the plugin. */
  #workMs = 0;

  constructor(parts: PluginRecordRunOptions) {
    this.#parts = parts;
    const { options, settings, choice, context } = parts;
    const { name, host, stage, config, onFailure } = options;
    this.#work = new PluginWork({ choice, host, stage, config, onFailure, context });
    const { maxBytes } = settings;
    this.#kept = context.consumer({ name: `${name} (kept)`, kind: 'external', maxBytes });
    this.#buffers = this.#kept.reserve(0);
    // A part for each, so that what went in leaves room for what comes out.
    this.#input = this.#store('input');
    this.#output = this.#store('output');
  }

  async *batches(input: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch, void, undefined> {
    const source = input[Symbol.asyncIterator]();
    try {
      let why = 'chosen';
      for (;;) {
        const worker = await this.#work.choose(why);
        if (worker.plugin === undefined) return yield* this.#native(source);
        const setback = await this.#try(source);
        if (setback === undefined) return yield* this.#finished();
        await this.#output.clear();
        if (setback.what === 'room') {
          if (this.#parts.choice.native === undefined) throw setback.cause;
          await this.#work.handOver(`what it was given could not be kept: ${String(setback.cause)}`);
          return yield* this.#native(source);
        }
        if (setback.what === 'pressure') await this.#work.abandon();
        else await this.#work.fail(setback.cause);
        why = this.#work.lastFault;
      }
    } finally {
      await source.return?.();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
    await this.#input[Symbol.asyncDispose]();
    await this.#output[Symbol.asyncDispose]();
    this.#buffers[Symbol.dispose]();
    this.#kept[Symbol.dispose]();
  }

  #store(what: string): BatchStore {
    const { options, settings, context } = this.#parts;
    const { maxBytes, maxBatchBytes, spill = context.spill } = settings;
    const codec = maxBytes < ROOM_FOR_ZSTD ? 'deflate' : 'zstd';
    // With less it holds nothing at all: then what is refused is the room of the stage.
    const least = BatchStore.leastBytes(codec, spill !== undefined);
    return new BatchStore({
      name: `${options.name} (${what})`,
      governor: context,
      parent: this.#kept,
      maxBytes: Math.max(least, Math.floor(maxBytes * STORE_PART)),
      maxBatchBytes,
      mode: context.mode,
      codec,
      ...(spill && { spill, maxSpillBytes: settings.maxSpillBytes ?? spill.maxBytes }),
    });
  }

  /** What has been kept, what is in hands, and the rest, through the native stage. Its time is that between its batches, without the time of those above it. */
  async *#native(source: AsyncIterator<RecordBatch>): AsyncGenerator<RecordBatch, void, undefined> {
    const { options, context, clock, choice } = this.#parts;
    const { native } = options;
    this.#workMs = this.#inputBytes = 0;
    let started = clock.now();
    for await (const batch of native.run(this.#all(source), new NativeContext(context, native.can))) {
      this.#workMs += clock.now() - started;
      yield batch;
      started = clock.now();
    }
    this.#workMs += clock.now() - started;
    choice.native?.noteCost(this.#workMs, this.#inputBytes);
  }

  async *#all(source: AsyncIterator<RecordBatch>): AsyncGenerator<RecordBatch, void, undefined> {
    const { clock, context } = this.#parts;
    const { signal } = context;
    for await (const wire of this.#input.take({ signal })) {
      this.#inputBytes += wire.byteLength;
      yield this.#read(wire);
    }
    if (this.#inHands !== undefined) yield this.#inHands;
    this.#inHands = undefined;
    for (;;) {
      const started = clock.now();
      const next = await source.next();
      this.#workMs -= clock.now() - started;
      if (next.done === true) return;
      this.#inputBytes += next.value.wireBytes;
      yield next.value;
    }
  }

  /** All through the plugin, from the first record on. Undefined when its output is whole. What goes wrong elsewhere is thrown. */
  async #try(source: AsyncIterator<RecordBatch>): Promise<Setback | undefined> {
    const { options, context } = this.#parts;
    const { signal } = context;
    const check = options.check?.();
    this.#workMs = this.#inputBytes = 0;
    try {
      for await (const wire of this.#input.read({ signal })) await this.#feed(wire, check);
      for (;;) {
        if (this.#inHands === undefined) {
          const next = await source.next();
          if (next.done === true) break;
          if (next.value.count === 0) continue;
          this.#inHands = next.value;
        }
        await this.#follow();
        const wire = await this.#keep(this.#inHands);
        this.#inHands = undefined;
        await this.#feed(wire, check);
      }
      // An empty batch says that no more comes, and asks for a piece of the output.
      while (await this.#feed(NOTHING, check));
      const worker = this.#work.worker!;
      await this.#finalize(check);
      worker.noteCost(this.#workMs, this.#inputBytes);
      return undefined;
    } catch (error) {
      if (error instanceof Setback && !signal.aborted) return error;
      throw error instanceof Setback ? signal.reason : error;
    }
  }

  /** Follows the mode with what is kept, and gives the plugin up where the level asks for another one. */
  async #follow(): Promise<void> {
    const { choice, context } = this.#parts;
    const { mode, level } = context;
    await Promise.all([this.#input.follow(mode), this.#output.follow(mode)]);
    const { worker } = this.#work;
    if (level === this.#work.level) return;
    const rises = levelRank(level) > levelRank(this.#work.level ?? 'optimal');
    const other = rises ? choice.choose(level, worker) : undefined;
    if (other === undefined || other === worker || (levelRank(level) < 4 && this.#changes >= MOST_CHANGES)) {
      this.#work.instance?.pressure(level);
      return;
    }
    this.#changes++;
    throw new Setback('pressure', undefined);
  }

  /** Puts a batch into the store and gives its wire form, valid until the next. */
  async #keep(batch: RecordBatch): Promise<Uint8Array> {
    const { wireBytes } = batch;
    try {
      this.#prepare(batch.usedBytes, batch.count);
      if (wireBytes > this.#wire.byteLength) {
        this.#buffers.grow(wireBytes - this.#wire.byteLength);
        this.#wire = Buffer.allocUnsafeSlow(wireBytes);
      }
      const wire = this.#wire.subarray(0, batch.writeWire(this.#wire));
      await this.#input.append(wire, { signal: this.#parts.context.signal });
      return wire;
    } catch (cause) {
      throw new Setback('room', cause);
    }
  }

  /** False when the plugin put out nothing for it. */
  async #feed(wire: Uint8Array, check: RecordCheck | undefined): Promise<boolean> {
    const { clock, context } = this.#parts;
    const { signal } = context;
    let output: Uint8Array;
    const started = clock.now();
    try {
      check?.input(wire);
      output = await this.#work.instance!.process(wire, { signal });
      this.#workMs += clock.now() - started;
      this.#inputBytes += wire.byteLength;
    } catch (cause) {
      throw new Setback('plugin', cause);
    }
    const { byteLength } = output;
    await this.#accept(output, check);
    return byteLength > 0;
  }

  async #finalize(check: RecordCheck | undefined): Promise<void> {
    let output: Uint8Array;
    const { clock } = this.#parts;
    const started = clock.now();
    try {
      output = await this.#work.finalize();
      this.#workMs += clock.now() - started;
    } catch (cause) {
      throw new Setback('plugin', cause);
    }
    await this.#accept(output, check);
    try {
      check?.end();
    } catch (cause) {
      throw new Setback('plugin', cause);
    }
  }

  async #accept(output: Uint8Array, check: RecordCheck | undefined): Promise<void> {
    const { settings, context } = this.#parts;
    const pieces: { start: number; end: number; count: number }[] = [];
    try {
      pieces.push(...wirePieces(output, settings.batchBytes, settings.maxBatchBytes));
      check?.output(output);
    } catch (cause) {
      throw new Setback('plugin', cause);
    }
    try {
      for (const { start, end, count } of pieces) {
        this.#prepare(end - start - RECORD_FRAME_BYTES * count, count);
        await this.#output.append(output.subarray(start, end), { signal: context.signal });
      }
    } catch (cause) {
      throw new Setback('room', cause);
    }
  }

  async *#finished(): AsyncGenerator<RecordBatch, void, undefined> {
    const { signal } = this.#parts.context;
    await this.#input.clear();
    for await (const wire of this.#output.take({ signal })) yield this.#read(wire);
  }

  /** Reserves what a batch of that size takes when it is read back, or throws. */
  #prepare(bytes: number, count: number): void {
    const [mostBytes, mostCount] = [Math.max(1, bytes, this.#readBytes), Math.max(1, count, this.#readCount)];
    const before = this.#readCount === 0 ? 0 : RecordBatch.bytesFor(this.#readBytes, this.#readCount);
    this.#buffers.grow(RecordBatch.bytesFor(mostBytes, mostCount) - before);
    this.#readBytes = mostBytes;
    this.#readCount = mostCount;
  }

  #read(wire: Uint8Array): RecordBatch {
    this.#batch ??= new RecordBatch(this.#readBytes, this.#readCount);
    readWire(wire, this.#batch);
    return this.#batch;
  }
}
