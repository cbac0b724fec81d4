import { nodeSpillFs, SpillFolder, type SpillFs } from 'plimsoll/spill';

/** A disk whose writes and reads fail when told so. */
export class FaultyDisk {
  /** `ENOSPC` or `EIO` for each write, or each read, until it is set back. */
  failWrites: string | undefined;
  failReads: string | undefined;
  writes = 0;
  reads = 0;

  readonly fs: SpillFs = {
    ...nodeSpillFs,
    open: async (path, flags, mode) => {
      const file = await nodeSpillFs.open(path, flags, mode);
      return {
        writev: async (buffers, position) => {
          this.writes++;
          if (this.failWrites !== undefined) throw Object.assign(new Error('no'), { code: this.failWrites });
          return file.writev(buffers, position);
        },
        read: async (buffer, offset, length, position) => {
          this.reads++;
          if (this.failReads !== undefined) throw Object.assign(new Error('no'), { code: this.failReads });
          return file.read(buffer, offset, length, position);
        },
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };

  open(dir: string, maxBytes = 64 * 2 ** 20): Promise<SpillFolder> {
    return SpillFolder.open(dir, { maxBytes, fs: this.fs, allowMemoryBacked: true });
  }
}
