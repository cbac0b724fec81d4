// Gives channel numbers: a record is a wish (0 for none), the answer is the wish or the next free number above it; without a wish the lowest free one from the configured start up. Wishes come
// before channels without one. The playlist compares with its own map, so that its native stage can go on after any batch (apps/playlist/src/plugins/number-batch.ts).
import { fail, OK, Output, Records } from '../../sdk/index';
import { isFull, nextFree, start, takeNumber } from './numbers';

export { plimsoll_abi, plimsoll_alloc, plimsoll_trim } from '../../sdk/index';

let next: u32 = 1;

export function plimsoll_init(config: usize, length: i32): i32 {
  if (length !== 4 || load<u32>(config) === 0) return fail('the configuration is one number, 1 or more');
  next = load<u32>(config);
  start();
  return OK;
}

export function plimsoll_process(batch: usize, length: i32): i32 {
  Records.open(batch, length);
  while (Records.next()) {
    if (Records.length !== 4) return fail('a wish that is no number');
    const wish = load<u32>(Records.at);
    let number: u32;
    if (wish > 0) {
      if (isFull()) return fail('more than 131,072 numbers from 16,777,216 up');
      number = takeNumber(wish);
    } else {
      number = nextFree(next);
      next = number + 1;
    }
    store<u32>(Output.claim(4), number);
    Output.commit(4);
  }
  Output.flush();
  return Records.damaged ? fail('a batch that ends inside a record') : OK;
}
