/** Bytes that are pulled: the reader owns the buffer, the source fills it. */
export interface ByteSource extends AsyncDisposable {
  /** For messages: a path or a masked URL, never a credential. */
  readonly label: string;
  /** Size of the content as far as it is known ahead (of a compressed file: the compressed size), else undefined. */
  readonly sizeBytes: number | undefined;
  /** Fills `target[offset, offset + length)` with at least one byte; resolves to the count, 0 at the end. */
  read(target: Buffer, offset: number, length: number): Promise<number>;
}
