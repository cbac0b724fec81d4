// Brings records of one group together, and holds them compressed until the end: sorted runs in pieces of linear memory, read back by a merge.
import { OK } from '../../sdk/index';
import { giveOutRest, group, startGrouping } from '../sorted-runs/grouping';
import { fetch, keep } from './pieces';

export { plimsoll_abi, plimsoll_alloc, plimsoll_trim } from '../../sdk/index';

const BLOCK_BYTES: usize = (1 << 19) - 16;
const CHUNK_BYTES: i32 = (1 << 15) - 16;

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
