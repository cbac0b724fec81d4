// Memory that is given back: blocks whose sizes are powers of two, in a list for each size. What has been given back serves the next of its size, so a plugin that works batch by batch
// stays as large as its largest batch made it. Nothing here is collected, and nothing is made behind your back.
//
// [top, limit) is memory that is in no block. At `top` stands a mark that is not zero: when the host makes the memory anew it leaves out zeros at the end, and what lies below the mark stays.
import { failAndTrap } from './saying';

/** Before each block: which list it belongs to. */
const HEAD: usize = 16;
const SMALLEST: i32 = 6;
const LISTS: i32 = 32;
const PAGE: usize = 65536;
const MARK_BYTES: usize = 16;

/** First free block of each size; in a free block, the next one. */
const lists = memory.data(LISTS * sizeof<usize>(), 16);
let top: usize = 0;
let limit: usize = 0;

/** A block of so many bytes, at a multiple of 16, with anything in it. 16 bytes go to its head: `take((1 << n) - 16)` wastes nothing. Ends the plugin when there is no memory. */
export function take(bytes: usize): usize {
  let list = SMALLEST;
  while ((<usize>1) << list < bytes + HEAD) list++;
  const slot = listAt(list);
  let block = load<usize>(slot);
  if (block !== 0) store<usize>(slot, load<usize>(block + HEAD));
  else block = carve((<usize>1) << list);
  store<i32>(block, list);
  return block + HEAD;
}

/** Memory that is never given back, all zeros; no byte of it is touched before you do. */
export function takeForGood(bytes: usize): usize {
  return carve((bytes + 15) & ~15);
}

/** Bytes that a block has room for, at least those that were asked for. */
export function roomOf(block: usize): usize {
  return ((<usize>1) << load<i32>(block - HEAD)) - HEAD;
}

/** Gives a block back; 0 is nothing. */
export function give(block: usize): void {
  if (block === 0) return;
  const slot = listAt(load<i32>(block - HEAD));
  store<usize>(block, load<usize>(slot));
  store<usize>(slot, block - HEAD);
}

/** A block with room for so many bytes: `block` itself where that does, else a new one with the first `kept` bytes of it. */
export function widen(block: usize, bytes: usize, kept: usize): usize {
  if (block !== 0 && roomOf(block) >= bytes) return block;
  // What need not be kept may serve for the new one.
  if (kept === 0) give(block);
  const wider = take(bytes);
  if (kept > 0) {
    memory.copy(wider, block, kept);
    give(block);
  }
  return wider;
}

/** Makes everything zero that holds nothing: such pages are not kept when the host makes the memory anew. */
export function clearFree(): void {
  while (takeDown()) {}
  for (let list = SMALLEST; list < LISTS; list++) {
    const size = (<usize>1) << list;
    for (let block = load<usize>(listAt(list)); block !== 0; block = load<usize>(block + HEAD)) {
      memory.fill(block + HEAD + sizeof<usize>(), 0, size - HEAD - sizeof<usize>());
    }
  }
  const end = memoryEnd();
  if (top !== 0) memory.fill(top + MARK_BYTES, 0, end - top - MARK_BYTES);
}

/** Takes the free block that ends at `top`, if there is one, out of its list: `top` then is where it began. */
function takeDown(): bool {
  for (let list = SMALLEST; list < LISTS; list++) {
    const size = (<usize>1) << list;
    let link = listAt(list);
    for (let block = load<usize>(link); block !== 0; block = load<usize>(link)) {
      if (block + size === top) {
        store<usize>(link, load<usize>(block + HEAD));
        setTop(block);
        return true;
      }
      link = block + HEAD;
    }
  }
  return false;
}

/** Fresh memory is zero, and so is what lies behind the mark, unless it was used before: then it is cleared. */
function carve(bytes: usize): usize {
  const end = memoryEnd();
  if (top === 0 || end - top < bytes + MARK_BYTES) {
    const pages = <i32>((bytes + MARK_BYTES - (top === 0 ? 0 : end - top) + PAGE - 1) / PAGE);
    if (memory.grow(pages) < 0) failAndTrap('no more memory');
    // Only the runtime of AssemblyScript takes memory besides: what is left before that is lost.
    if (top === 0 || end !== limit) top = end;
    limit = memoryEnd();
    if (limit - top < bytes + MARK_BYTES) return carve(bytes);
  }
  const block = top;
  store<u64>(block, 0);
  setTop(block + bytes);
  return block;
}

function setTop(to: usize): void {
  top = to;
  store<u64>(to, u64.MAX_VALUE);
}

function listAt(list: i32): usize {
  return lists + <usize>list * sizeof<usize>();
}

function memoryEnd(): usize {
  return <usize>memory.size() * PAGE;
}
