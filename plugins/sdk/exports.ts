import { clearFree, give, take, widen } from './blocks';
import { Output } from './output';

let input: usize = 0;

/** The version of the ABI that this is for. */
export function plimsoll_abi(): i32 {
  return 1;
}

/** Room for what the host hands over: one buffer, as large as the largest batch so far. */
export function plimsoll_alloc(length: i32): usize {
  input = input === 0 ? take(<usize>length) : widen(input, <usize>length, 0);
  return input;
}

/** Gives the buffers back, and makes zero what holds nothing, before the host makes the memory anew. */
export function plimsoll_trim(): void {
  give(input);
  input = 0;
  Output.drop();
  clearFree();
}
