const LONGEST = 4_096;
const UNREAD = '    (the stack could not be read)';

/**
 * Where the caller of `below` was called from, `frames` lines at most, without its heading. Text at once, because the frames of an `Error` that nobody has printed hold their
 * receivers, and one of those is often the very object that is looked after. Never throws: what a program makes of stacks (`Error.prepareStackTrace`) may, and `Error` may be frozen.
 */
export function stackText(below: (...args: never[]) => unknown, frames: number): string {
  const before = Error.stackTraceLimit;
  const holder: { stack?: string } = {};
  try {
    Error.stackTraceLimit = frames;
    Error.captureStackTrace(holder, below);
    const text = String(holder.stack);
    return text.slice(text.indexOf('\n') + 1, LONGEST);
  } catch {
    return UNREAD;
  } finally {
    if (Error.stackTraceLimit !== before) Error.stackTraceLimit = before;
  }
}
