// Words to the host.
import { fail as hostFail, log as hostLog } from './plimsoll';

export const DEBUG: i32 = 0;
export const INFO: i32 = 1;
export const WARNING: i32 = 2;
export const ERROR: i32 = 3;

/** What `init`, `process` and `finalize` return. */
export const OK: i32 = 0;
export const NOT_FOR_THIS: i32 = 1;
export const FAILED: i32 = 2;

const LONGEST: i32 = 256;
const text = memory.data(LONGEST);

/** A line for the log of the host, in ASCII, 256 characters of it. */
export function log(level: i32, message: string): void {
  hostLog(level, text, put(message));
}

/** Says why the call fails: `return fail('...')`. In ASCII, 256 characters of it. */
export function fail(message: string): i32 {
  hostFail(text, put(message));
  return FAILED;
}

/** The same where nothing can be returned: the instance is over. */
export function failAndTrap(message: string): void {
  fail(message);
  unreachable();
}

function put(message: string): i32 {
  const length = min(message.length, LONGEST);
  for (let i = 0; i < length; i++)
    store<u8>(text + i, load<u16>(changetype<usize>(message) + ((<usize>i) << 1)) & 0x7f);
  return length;
}
