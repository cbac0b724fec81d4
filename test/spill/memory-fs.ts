import type { SpillFs } from 'plimsoll/spill';

/** A disk in memory, whose files can be exchanged: as much of one as spill folders need. */
export class MemoryFs {
  readonly files = new Map<string, Buffer>();

  get fs(): SpillFs {
    const { files } = this;
    const done = async () => {};
    return {
      mkdir: done,
      readdir: async () => [],
      lstat: async () => ({ mtimeMs: 0, uid: 0, isDirectory: () => true }),
      statfs: async () => ({ type: 0 }),
      readFile: async () => '',
      rm: done,
      rename: async (from, to) => {
        files.set(to, files.get(from)!);
        files.delete(from);
      },
      unlink: async (path) => void files.delete(path),
      open: async (path) => {
        files.set(path, Buffer.alloc(0));
        return {
          writev: async (pieces, at) => {
            const bytes = Buffer.concat(pieces);
            files.set(path, Buffer.concat([files.get(path)!.subarray(0, at), bytes]));
            return { bytesWritten: bytes.byteLength };
          },
          read: async (into, from, length, at) => {
            const found = files.get(path)!.subarray(at, at + length);
            into.set(found, from);
            return { bytesRead: found.byteLength };
          },
          truncate: done,
          sync: done,
          close: done,
        };
      },
    };
  }
}
