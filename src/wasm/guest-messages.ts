/** What goes between the host and the worker of an instance. One request at a time, one reply to each; log lines and spill calls come in between. */
export interface OpenRequest {
  readonly op: 'open';
  /** Compiled where it can be shared, bytes where it cannot. */
  readonly module: WebAssembly.Module | Uint8Array;
  readonly maxPages: number;
  readonly minPages: number;
  readonly memoryImported: boolean;
  readonly mutableGlobals: readonly number[];
  readonly tableCount: number;
  readonly maxOutputBytes: number;
  readonly level: number;
}

export type GuestRequest =
  | OpenRequest
  | { readonly op: 'init'; readonly config: Uint8Array }
  | { readonly op: 'process'; readonly input: ArrayBuffer; readonly length: number; readonly output?: ArrayBuffer }
  | { readonly op: 'pressure'; readonly level: number }
  | { readonly op: 'finalize'; readonly output?: ArrayBuffer }
  | { readonly op: 'snapshot' }
  | { readonly op: 'restore'; readonly snapshot: GuestSnapshot };

/** The state of a guest between two calls. */
export interface GuestSnapshot {
  /** Memory from 0 on without the zeros at the end, and how long all of it was. */
  readonly content: ArrayBuffer;
  readonly memoryBytes: number;
  /** Of mutable globals, by their order. */
  readonly globals: readonly (number | bigint)[];
}

export type GuestFaultKind = 'trap' | 'outputLimit' | 'failed' | 'refused';

export type GuestReply =
  | {
      readonly ok: true;
      readonly memoryBytes: number;
      readonly input?: ArrayBuffer;
      readonly output?: ArrayBuffer;
      readonly outputLength?: number;
      /** Undefined where the guest's state cannot be taken. */
      readonly snapshot?: GuestSnapshot | undefined;
    }
  | { readonly ok: false; readonly memoryBytes: number; readonly kind: GuestFaultKind; readonly message: string };

export interface SpillRequest {
  readonly verb: 'write' | 'size' | 'read' | 'free';
  readonly handle: number;
  readonly bytes?: ArrayBuffer;
}

export interface SpillReply {
  /** A handle, a size or an error. */
  readonly result: number;
  readonly bytes?: Uint8Array;
}

/** From the worker. `ready` is the first: it has been loaded and can be asked. */
export type GuestReport =
  | { readonly what: 'ready' }
  | { readonly what: 'reply'; readonly reply: GuestReply }
  | { readonly what: 'log'; readonly level: number; readonly line: string }
  | { readonly what: 'spill'; readonly request: SpillRequest };

/** Places in the shared array of whole numbers: whether an answer of the spill is there, and the pressure level. */
export const SIGNAL = { answered: 0, level: 1, length: 2 } as const;

/** What a worker is started with. */
export interface GuestWorkerData {
  readonly signal: SharedArrayBuffer;
  /** Answers of the spill come here, to be taken while the worker waits. */
  readonly answers: import('node:worker_threads').MessagePort;
}
