/** The records of a batch, one after the other: `Records.open(batch, length); while (Records.next()) ...`. Makes nothing and copies nothing. */
export class Records {
  /** Where the record is, and how long; valid until the call returns. */
  static at: usize = 0;
  static length: i32 = 0;
  /** The batch ends in the middle of a record, or a length does not fit: known when `next` has said false. */
  static damaged: bool = false;
  private static to: usize = 0;

  static open(batch: usize, length: i32): void {
    Records.at = batch;
    Records.length = 0;
    Records.to = batch + <usize>length;
    Records.damaged = false;
  }

  /** Goes to the next record; false when there is none. */
  static next(): bool {
    const from = Records.at + <usize>Records.length;
    const left = Records.to - from;
    if (left === 0) return false;
    if (left >= 4) {
      const length = load<u32>(from);
      if (<usize>length <= left - 4) {
        Records.at = from + 4;
        Records.length = <i32>length;
        return true;
      }
    }
    Records.damaged = true;
    Records.at = Records.to;
    Records.length = 0;
    return false;
  }
}
