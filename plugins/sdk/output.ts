import { give, take, widen } from './blocks';
import { emit } from './plimsoll';

const FIRST_BYTES: usize = 65536 - 16;

/** What the plugin gives out, collected so that the host is called seldom. Say `Output.flush()` before the call returns. */
export class Output {
  private static buffer: usize = 0;
  private static used: usize = 0;
  private static room: usize = 0;

  /** A record, copied. */
  static record(at: usize, length: i32): void {
    const into = Output.claim(length);
    memory.copy(into, at, <usize>length);
    Output.commit(length);
  }

  /** Room for a record of at most so many bytes, to be written in place; `commit` says how many they were. */
  static claim(most: i32): usize {
    const need = <usize>most + 4;
    if (need > Output.room - Output.used) {
      Output.flush();
      if (need > Output.room) {
        Output.buffer = Output.buffer === 0 ? take(max(need, FIRST_BYTES)) : widen(Output.buffer, need, 0);
        Output.room = max(need, FIRST_BYTES);
      }
    }
    return Output.buffer + Output.used + 4;
  }

  /** Ends the record that was claimed. */
  static commit(length: i32): void {
    store<u32>(Output.buffer + Output.used, length);
    Output.used += <usize>length + 4;
  }

  static flush(): void {
    if (Output.used === 0) return;
    emit(Output.buffer, <i32>Output.used);
    Output.used = 0;
  }

  /** Gives its buffer back; the next record takes a new one. What was not flushed is lost. */
  static drop(): void {
    give(Output.buffer);
    Output.buffer = 0;
    Output.used = 0;
    Output.room = 0;
  }
}
