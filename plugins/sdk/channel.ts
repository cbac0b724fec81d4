// Channel records, version 1, as the playlist sends them (apps/playlist/PLUGINS.md).

export const NAME: i32 = 0;
export const GROUP: i32 = 1;
export const TVG_ID: i32 = 2;
export const TVG_NAME: i32 = 3;
export const TVG_LOGO: i32 = 4;
export const TVG_CHNO: i32 = 5;
export const TVG_SHIFT: i32 = 6;
export const URL: i32 = 7;
export const FIELDS: i32 = 8;

export const ABSENT: u32 = 0xffffffff;
/** In a record from the host: not shown. In one to the host: as it was. */
export const NOT_SENT: u32 = 0xfffffffe;
export const HEAD: i32 = 36;

/** One channel record, looked at where it is: `if (Channel.open(Records.at, Records.length)) ... Channel.at(NAME), Channel.length(NAME)`. */
export class Channel {
  private static record: usize = 0;
  private static starts: usize = memory.data(FIELDS * 4, 4);
  private static lengths: usize = memory.data(FIELDS * 4, 4);

  /** Checks the lengths and notes where the fields are; false when the record cannot be a channel. */
  static open(record: usize, length: i32): bool {
    if (length < HEAD) return false;
    Channel.record = record;
    let at = record + HEAD;
    let left = length - HEAD;
    for (let field: i32 = 0; field < FIELDS; field++) {
      const said = load<u32>(record + 4 + <usize>(field << 2));
      const size: u32 = said >= NOT_SENT ? 0 : said;
      if (size > <u32>left) return false;
      store<usize>(Channel.starts + <usize>(field << 2), at);
      store<i32>(Channel.lengths + <usize>(field << 2), <i32>size);
      at += <usize>size;
      left -= <i32>size;
    }
    return true;
  }

  /** What must come back with it. */
  static id(): u32 {
    return load<u32>(Channel.record);
  }

  /** Where the bytes of a field are. */
  static at(field: i32): usize {
    return load<usize>(Channel.starts + <usize>(field << 2));
  }

  /** How many there are; 0 when the channel has no such field. */
  static length(field: i32): i32 {
    return load<i32>(Channel.lengths + <usize>(field << 2));
  }
}
