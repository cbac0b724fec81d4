import type { SpillFolder, SpillRecord } from '../spill/index.ts';
import { MAX_SPILL_RECORD_BYTES, MAX_SPILL_RECORDS, SPILL_ERROR } from './abi-contract.ts';
import type { SpillReply, SpillRequest } from './guest-messages.ts';

/** On the disk a record takes this much more. */
const RECORD_OVERHEAD_BYTES = 32;
const NO_ROOM = new Set(['PLIMSOLL_SPILL_QUOTA', 'PLIMSOLL_SPILL_NO_SPACE']);

/**
 * What one instance has on disk: records of the spill folder that was handed in, by handles of its own, within a quota. A handle is never given twice, so that one that was let go, or
 * made up, is no other record. The folder checks what it reads. Nothing here throws: a guest gets numbers.
 */
export class PluginSpill {
  readonly #folder: SpillFolder | undefined;
  readonly #maxBytes: number;
  readonly #records = new Map<number, SpillRecord>();
  readonly #underWay = new Set<Promise<unknown>>();
  #nextHandle = 0;
  #bytes = 0;
  #closed = false;

  constructor(folder: SpillFolder | undefined, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** On the disk now. */
  get bytes(): number {
    return this.#bytes;
  }

  get recordCount(): number {
    return this.#records.size;
  }

  async answer(request: SpillRequest): Promise<SpillReply> {
    if (this.#folder === undefined || this.#closed) return { result: SPILL_ERROR.none };
    if (request.verb === 'write') return this.#write(this.#folder, new Uint8Array(request.bytes!));
    const record = this.#records.get(request.handle);
    if (record === undefined) return { result: SPILL_ERROR.noHandle };
    if (request.verb === 'size') return { result: record.bytes };
    if (request.verb === 'read') return this.#read(this.#folder, record);
    this.#free(this.#folder, request.handle, record);
    return { result: 0 };
  }

  /** Lets all records go, once what is under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#underWay);
    for (const [handle, record] of this.#records) this.#free(this.#folder!, handle, record);
  }

  async #write(folder: SpillFolder, bytes: Uint8Array): Promise<SpillReply> {
    if (bytes.byteLength > MAX_SPILL_RECORD_BYTES) return { result: SPILL_ERROR.tooLong };
    const size = bytes.byteLength + RECORD_OVERHEAD_BYTES;
    if (this.#bytes + size > this.#maxBytes || this.#records.size >= MAX_SPILL_RECORDS) {
      return { result: SPILL_ERROR.noRoom };
    }
    this.#bytes += size;
    const record = await this.#during(folder.put(bytes));
    if (typeof record === 'number') {
      this.#bytes -= size;
      return { result: record };
    }
    const handle = this.#nextHandle++;
    this.#records.set(handle, record);
    return { result: handle };
  }

  async #read(folder: SpillFolder, record: SpillRecord): Promise<SpillReply> {
    const bytes = await this.#during(folder.get(record));
    return typeof bytes === 'number' ? { result: bytes } : { result: bytes.byteLength, bytes };
  }

  #free(folder: SpillFolder, handle: number, record: SpillRecord): void {
    this.#records.delete(handle);
    this.#bytes -= record.bytes + RECORD_OVERHEAD_BYTES;
    folder.delete(record);
  }

  /** What it comes to, or a number for what went wrong. */
  async #during<T extends object>(work: Promise<T>): Promise<T | number> {
    const settled = work.catch((cause: unknown) =>
      NO_ROOM.has(String((cause as { code?: unknown } | null)?.code)) ? SPILL_ERROR.noRoom : SPILL_ERROR.failed,
    );
    this.#underWay.add(settled);
    try {
      return await settled;
    } finally {
      this.#underWay.delete(settled);
    }
  }
}
