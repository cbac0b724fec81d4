/**
 * What a signal was aborted for. Replacements of `AbortSignal` that programs bring along may have neither `reason` nor `throwIfAborted`: what they
 * leave out is made up as the platform would.
 */
export function abortReason(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException('This operation was aborted', 'AbortError');
}
