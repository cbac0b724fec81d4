// Brings records of one group together, by way of the disk: sorted runs are spilled and read back by a merge. Holds a block of 1 MiB while it is filled, sixteen chunks of 128 KiB while it is merged.
import { OK, spill_free, spill_read, spill_write } from '../../sdk/index';
import { giveOutRest, group, startGrouping } from '../sorted-runs/grouping';

export { plimsoll_abi, plimsoll_alloc, plimsoll_trim } from '../../sdk/index';

const BLOCK_BYTES: usize = (1 << 20) - 16;
const CHUNK_BYTES: i32 = (1 << 17) - 16;

export function plimsoll_init(_config: usize, _length: i32): i32 {
  startGrouping(BLOCK_BYTES, CHUNK_BYTES, keep, fetch);
  return OK;
}

export function plimsoll_process(batch: usize, length: i32): i32 {
  return group(batch, length);
}

export function plimsoll_finalize(): i32 {
  return giveOutRest();
}

function keep(at: usize, length: i32): i32 {
  return spill_write(at, length);
}

function fetch(handle: i32, into: usize, length: i32): bool {
  return spill_read(handle, 0, into, length) === length && spill_free(handle) === 0;
}
