// Runs the configured filters: a program that the playlist hands over at the start (apps/playlist/PLUGINS.md). Holds one batch, gives its answer at once: 12 bytes for a channel.
import { fail, give, NOT_FOR_THIS, OK, Output, Records, take } from '../../sdk/index';
import { Program } from './program';

export { plimsoll_abi, plimsoll_alloc, plimsoll_trim } from '../../sdk/index';

const SMALLEST: i32 = 36;

export function plimsoll_init(config: usize, length: i32): i32 {
  const program = take(<usize>length);
  memory.copy(program, config, <usize>length);
  if (Program.load(program, length)) return OK;
  give(program);
  return NOT_FOR_THIS;
}

export function plimsoll_process(batch: usize, length: i32): i32 {
  Records.open(batch, length);
  while (Records.next()) {
    if (Records.length < SMALLEST) return fail('a record that is no channel');
    const filter = Program.filterAgainst(Records.at, Records.length);
    if (filter === Program.DAMAGED) return fail('a record with lengths that do not fit');
    const into = Output.claim(8);
    store<u32>(into, load<u32>(Records.at));
    store<u32>(into + 4, filter);
    Output.commit(filter < 0 ? 4 : 8);
  }
  Output.flush();
  return Records.damaged ? fail('a batch that ends inside a record') : OK;
}
