import type { Governor } from 'plimsoll';
import type { BufferPool } from 'plimsoll/pool';

/** What the files of a run are written through, bytes. */
export const FILE_BUFFER_BYTES = 256 * 1024;

/**
 * The buffers that a run's files are written through, made ahead: those that fill `bytes`, and no more of them later, so that a file that finds none at rest brings its own. They
 * stand in the books as `file buffers`, touched or not, and what is at rest goes back under pressure. Makes fewer where the governor has no room. The caller disposes.
 */
export async function makeFileBuffers(bytes: number, governor: Governor): Promise<BufferPool> {
  const { BufferPool } = await import('plimsoll/pool');
  const count = Math.ceil(bytes / FILE_BUFFER_BYTES);
  return new BufferPool({
    name: 'file buffers',
    governor,
    maxBytes: count * FILE_BUFFER_BYTES,
    maxPooledBytes: FILE_BUFFER_BYTES,
    idleMs: Number.POSITIVE_INFINITY,
    preallocate: [{ bytes: FILE_BUFFER_BYTES, count }],
  });
}
