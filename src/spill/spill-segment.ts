import { FRAME_HEADER_BYTES, recordFault, recordHeader, writeFrameHeader } from './frame-format.ts';
import { SpillCorruptError, spillError } from './spill-errors.ts';
import { type SpillFile, writeAll } from './spill-fs.ts';

/** Bytes in a spill folder. Who put them there keeps it and deletes it; about 130 bytes. */
export interface SpillRecord {
  /** As they were put in. */
  readonly bytes: number;
}

/** Where a record stands now: it moves when its segment is compacted. */
export class StoredRecord implements SpillRecord {
  readonly id: number;
  readonly bytes: number;
  /** Undefined when it has been deleted. */
  segment: SpillSegment | undefined;
  offset = 0;

  constructor(id: number, bytes: number) {
    this.id = id;
    this.bytes = bytes;
  }

  /** On the disk. */
  get diskBytes(): number {
    return FRAME_HEADER_BYTES + this.bytes;
  }
}

/**
 * One file that is only appended to. What a failed write left behind is cut off; where that fails too, the file is sealed and what stands behind the last
 * whole record belongs to nobody.
 */
export class SpillSegment {
  readonly path: string;
  readonly records = new Set<StoredRecord>();
  readonly #file: SpillFile;
  #closed = false;
  /** Where the next record goes. */
  size = 0;
  /** That the file may take on the disk. */
  diskBytes = 0;
  liveBytes = 0;
  /** Nothing is appended any more. */
  sealed = false;
  /** A record is being written: it must not go, though it may be empty. */
  writing = false;
  /** Reads under way: it is not closed under them. */
  readers = 0;
  /** Nothing in it is wanted; it goes when the last reader has. */
  doomed = false;

  constructor(path: string, file: SpillFile) {
    this.path = path;
    this.#file = file;
  }

  add(record: StoredRecord, offset: number): void {
    record.segment = this;
    record.offset = offset;
    this.records.add(record);
    this.liveBytes += record.diskBytes;
  }

  drop(record: StoredRecord): void {
    if (!this.records.delete(record)) return;
    this.liveBytes -= record.diskBytes;
    record.segment = undefined;
  }

  /** Writes a record behind the others. The header is written into `header`. */
  async append(record: StoredRecord, payload: readonly Uint8Array[], header: Buffer): Promise<void> {
    writeFrameHeader(header, recordHeader(record.id, record.bytes), payload);
    await this.#write(record.diskBytes, (at) => writeAll(this.#file, [header, ...payload], at));
    this.add(record, this.size - record.diskBytes);
  }

  /** Copies a record of another segment as it stands, through `buffer`, and moves it here when it is still wanted then. */
  async adopt(record: StoredRecord, from: SpillSegment, buffer: Uint8Array): Promise<void> {
    const { offset, diskBytes } = record;
    await this.#write(diskBytes, async (at) => {
      for (let done = 0; done < diskBytes; ) {
        const piece = buffer.subarray(0, Math.min(buffer.byteLength, diskBytes - done));
        const read = await from.#fill(piece, offset + done);
        // Cut short on the disk: copied with what is there no more, and found out by who reads it.
        if (read < piece.byteLength) piece.fill(0, read);
        await writeAll(this.#file, [piece], at + done);
        done += piece.byteLength;
      }
    });
    if (record.segment !== from) return;
    from.drop(record);
    this.add(record, this.size - diskBytes);
  }

  /** Reads a record into `buffer`, which holds header and payload, and returns the payload in it. */
  async read(record: StoredRecord, buffer: Uint8Array): Promise<Uint8Array> {
    const { offset, bytes, diskBytes, id } = record;
    const whole = buffer.subarray(0, diskBytes);
    let read: number;
    try {
      read = await this.#fill(whole, offset);
    } catch (cause) {
      throw spillError('read', this.path, cause);
    }
    const fault = recordFault(Buffer.from(whole.buffer, whole.byteOffset, read), id, bytes);
    if (fault !== undefined) throw new SpillCorruptError(this.path, offset, fault);
    return whole.subarray(FRAME_HEADER_BYTES);
  }

  /** Twice is safe. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  /** Returns how many bytes there were. */
  async #fill(buffer: Uint8Array, position: number): Promise<number> {
    let read = 0;
    while (read < buffer.byteLength) {
      const { bytesRead } = await this.#file.read(buffer, read, buffer.byteLength - read, position + read);
      if (bytesRead <= 0) break;
      read += bytesRead;
    }
    return read;
  }

  async #write(bytes: number, write: (at: number) => Promise<void>): Promise<void> {
    const at = this.size;
    this.diskBytes = at + bytes;
    this.writing = true;
    try {
      await write(at);
      this.size = at + bytes;
    } catch (cause) {
      try {
        await this.#file.truncate(at);
        this.diskBytes = at;
      } catch {
        this.sealed = true;
      }
      throw spillError('write', this.path, cause);
    } finally {
      this.writing = false;
    }
  }
}
