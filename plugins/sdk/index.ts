// The kit for plugins in AssemblyScript. See README.md in the folder above.
export { abort } from './abort';
export { clearFree, give, roomOf, take, takeForGood, widen } from './blocks';
export { plimsoll_abi, plimsoll_alloc, plimsoll_trim } from './exports';
export { Output } from './output';
export { emit, now, pressure, spill_free, spill_read, spill_size, spill_write } from './plimsoll';
export { Records } from './records';
export { DEBUG, ERROR, FAILED, fail, failAndTrap, INFO, log, NOT_FOR_THIS, OK, WARNING } from './saying';
