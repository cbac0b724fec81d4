/**
 * What a plugin is and what its instance promises. Nothing in this file has an implementation.
 */
import type { PressureLevel } from '../governor/index.ts';

/** What a plugin says of itself, checked. Bytes are whole pages of 64 KiB. */
export interface PluginManifest {
  /** 1 to 64 characters: small letters, digits and `-`. */
  readonly name: string;
  /** 1 to 40 characters, such as `1.2.0`; only shown. */
  readonly version: string;
  readonly abi: 1;
  /** The module's file, beside the manifest. */
  readonly wasm: string;
  /** What it can be used for, 1 to 16 names in the words of the application. */
  readonly stages: readonly string[];
  /** Linear memory that it begins with at least, and the most that it may ever have: that is charged while an instance runs. */
  readonly minHeapBytes: number;
  readonly maxHeapBytes: number;
  /** It gives its output batch by batch, and holds no more than one between calls. */
  readonly supportsStreaming: boolean;
  /** What it holds between calls is compressed. */
  readonly supportsCompression: boolean;
  readonly description: string | undefined;
}

/** A plugin that was looked at and may be run. Plain data; holds the bytes of the module. */
export interface Plugin {
  readonly manifest: PluginManifest;
  /** Where the manifest was read; undefined for one made in a program. */
  readonly file: string | undefined;
  /** Of the module as it is run. */
  readonly moduleBytes: number;
}

export interface OpenOptions {
  /** One of those in the manifest. */
  readonly stage: string;
  /** Given to `plimsoll_init`: what the application and the plugin have agreed on. At most 1 MiB. Default none. */
  readonly config?: Uint8Array;
  /** What `pressure()` says at first. Default `optimal`. */
  readonly level?: PressureLevel;
  /** Ends the wait, and the instance. */
  readonly signal?: AbortSignal;
}

/**
 * One running instance, in a worker of its own. Calls are made one after the other; a second one waits. After a failure it is over: its memory has been given back by the time that the
 * call rejects, and every later call rejects with the same error. Open another one.
 */
export interface PluginInstance extends AsyncDisposable {
  readonly plugin: Plugin;
  /** Its linear memory, as of the last call. */
  readonly memoryBytes: number;
  /** Why it is over; undefined while it can be called. */
  readonly failure: Error | undefined;
  /**
   * Hands over a batch and gives all that the plugin put out for it, at most `maxOutputBytes`. The batch is read, in its turn, and never changed: leave it as it is until then. The output is
   * valid until the next call of this instance is made.
   */
  process(batch: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  /** Tells the plugin of the level, now or after the call under way. Never throws; where that makes it fail, the next call says so. */
  pressure(level: PressureLevel): void;
  /** Ends the plugin's work and gives the rest of its output. Once; the instance has been disposed when it resolves or rejects. The output stays valid. */
  finalize(options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  /**
   * Linear memory never shrinks: takes what is in it, starts a fresh instance and puts it back without its zero pages. Gives the bytes by which the linear memory is smaller,
   * 0 where nothing was done. State survives: memory, mutable globals.
   */
  reclaim(): Promise<number>;
  /** Finalizes where that was not done, within the time limit, and drops what that puts out; ends the worker. Never throws. Twice is safe. */
  [Symbol.asyncDispose](): Promise<void>;
}
