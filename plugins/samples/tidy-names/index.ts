// Tidies the names and groups of channels: what the playlist does natively with `[mapping] tidy_names = true` (apps/playlist/src/plugins/tidy-name.ts), to the byte.
import { Channel, GROUP, HEAD, NAME, NOT_SENT, TVG_NAME } from '../../sdk/channel';
import { fail, OK, Output, Records } from '../../sdk/index';
import { tidied, tidy } from './tidier';

export { plimsoll_abi, plimsoll_alloc, plimsoll_trim } from '../../sdk/index';

export function plimsoll_init(_config: usize, _length: i32): i32 {
  return OK;
}

export function plimsoll_process(batch: usize, length: i32): i32 {
  Records.open(batch, length);
  while (Records.next()) {
    if (!Channel.open(Records.at, Records.length)) return fail('a record that is no channel');
    answer();
  }
  Output.flush();
  return Records.damaged ? fail('a batch that ends inside a record') : OK;
}

/** A channel that stays as it is comes back as its id alone, another one with the fields that changed. */
function answer(): void {
  // What is tidied is at most as long as it was, and the fields were inside the record.
  const record = Output.claim(Records.length);
  let to = record + HEAD;
  store<u32>(record, Channel.id());
  for (let field = 0; field < 8; field++) {
    let said = NOT_SENT;
    if (field === NAME || field === GROUP || field === TVG_NAME) {
      const length = tidy(Channel.at(field), Channel.length(field), field === GROUP);
      if (length >= 0) {
        said = <u32>length;
        memory.copy(to, tidied(), <usize>length);
        to += <usize>length;
      }
    }
    store<u32>(record + <usize>(field << 2), said, 4);
  }
  Output.commit(to === record + HEAD ? 4 : <i32>(to - record));
}
