const DAY_SECONDS = 86_400;
/** Of a time that JavaScript can show. */
const MOST_MS = 8.64e15;

/**
 * Milliseconds since 1970 as `2026-11-30T13:45:10Z`; a dash for what is no time. By Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: this room takes no time from
 * anywhere but a clock, and the formats of `Intl` would take 8 MB beside a program that may have little.
 */
export function isoSeconds(ms: number): string {
  if (!(Math.abs(ms) <= MOST_MS)) return '-';
  const seconds = Math.floor(ms / 1_000);
  const days = Math.floor(seconds / DAY_SECONDS);
  const rest = seconds - days * DAY_SECONDS;
  // From 1 March of the year 0, so that the leap day is the last of its year; an era has 400 years.
  const era = Math.floor((days + 719_468) / 146_097);
  const dayOfEra = days + 719_468 - era * 146_097;
  const leaps = Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const time = [rest / 3_600, (rest / 60) % 60, rest % 60].map(two).join(':');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${time}Z`;
}

const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
