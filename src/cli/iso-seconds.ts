const FORMAT = new Intl.DateTimeFormat('en', {
  timeZone: 'UTC',
  hourCycle: 'h23',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
/** Of a time that JavaScript can show. */
const MOST_MS = 8.64e15;

/** Milliseconds since 1970 as `2026-11-30T13:45:10Z`; a dash for what is no time. */
export function isoSeconds(ms: number): string {
  if (!(Math.abs(ms) <= MOST_MS)) return '-';
  const parts = Object.fromEntries(FORMAT.formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}Z`;
}
