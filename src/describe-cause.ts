/** A text for anything that can be thrown. Never throws itself. */
export function describeCause(cause: unknown): string {
  try {
    return String(cause instanceof Error ? cause.message : cause);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}
