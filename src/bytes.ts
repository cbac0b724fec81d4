import { PlimsollError } from './errors.ts';

const KI = 1024;
const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: KI,
  mib: KI ** 2,
  gib: KI ** 3,
  tib: KI ** 4,
};
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };
const QUANTITY = /^(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)$/i;
const SHOWN = 40;

/** `PLIMSOLL_BAD_QUANTITY`: a size or a duration in text that cannot be read. The message is one line, without a place: add yours. */
export class QuantityError extends PlimsollError {
  override readonly name: string = 'QuantityError';

  constructor(expected: string, got: unknown) {
    const text = String(got);
    const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
    super(`Expected ${expected}, got \`${shown}\``, { code: 'PLIMSOLL_BAD_QUANTITY' });
  }
}

/**
 * Reads a size: `512MiB`, `64MB`, `1.5GiB`, `1048576`, `100 B`. KiB, MiB, GiB and TiB are powers of 1024; kB, MB, GB and TB powers of 1000;
 * without a unit it is bytes. Case does not matter, a fraction of a byte is dropped. Bare `M` or `G` is refused: it means
 * either, depending on whom one asks.
 * @throws QuantityError `PLIMSOLL_BAD_QUANTITY`
 */
export function parseBytes(text: string | number): number {
  const bytes = parseQuantity(text, BYTE_UNITS);
  if (bytes === undefined) throw new QuantityError('a size like `512MiB`', text);
  return Math.floor(bytes);
}

/**
 * Reads a duration into milliseconds: `250ms`, `30s`, `5m`, `1.5h`, `1d`. A unit is required, except for `0`.
 * @throws QuantityError `PLIMSOLL_BAD_QUANTITY`
 */
export function parseDuration(text: string | number): number {
  const ms = text === '0' || text === 0 ? 0 : parseQuantity(text, TIME_UNITS);
  if (ms === undefined) throw new QuantityError('a duration like `30s`', text);
  return ms;
}

/** Shows bytes in powers of 1024 with one decimal at most, in the form `parseBytes` reads: `0B`, `43.2MiB`, `-1.5GiB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return bytes > 0 ? 'unlimited' : String(bytes);
  let size = Math.abs(bytes);
  let unit = 'B';
  for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
    // 1023.95 would be shown as 1024.0: the next unit says the same in fewer digits.
    if (size < KI - 0.05) break;
    size /= KI;
    unit = larger;
  }
  const digits = unit === 'B' ? String(Math.round(size)) : size.toFixed(1).replace(/\.0$/, '');
  return `${bytes < 0 && digits !== '0' ? '-' : ''}${digits}${unit}`;
}

function parseQuantity(text: string | number, units: Readonly<Record<string, number>>): number | undefined {
  const match = QUANTITY.exec(String(text).trim());
  if (match === null) return undefined;
  const unit = match[2]!.toLowerCase();
  const factor = Object.hasOwn(units, unit) ? units[unit]! : Number.NaN;
  const value = Number(match[1]) * factor;
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}
