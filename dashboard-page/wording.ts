/** How the page says figures. Pure, and knows no browser. */
import { formatBytes } from '../src/bytes.ts';

/** `1.5 MiB`, with a space that does not break. */
export function bytesText(bytes: number): string {
  return formatBytes(Math.round(bytes)).replace(/([\d.])([A-Z])/i, '$1\u00a0$2');
}

/** With a sign, for what may be either. */
export function signedBytesText(bytes: number): string {
  return (bytes > 0 ? '+' : '') + bytesText(bytes).replace('-', '\u2212');
}

export function percentText(ratio: number): string {
  const percent = ratio * 100;
  return `${percent < 10 && percent > 0 ? percent.toFixed(1) : Math.round(percent)}%`;
}

export function msText(ms: number): string {
  if (ms >= 60_000) return `${Math.floor(ms / 60_000)}m ${Math.round((ms % 60_000) / 1_000)}s`;
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)}\u00a0s`;
  return `${ms < 10 && ms > 0 ? ms.toFixed(1) : Math.round(ms)}\u00a0ms`;
}

export function countText(count: number): string {
  if (!Number.isInteger(count)) return String(Math.round(count * 1_000) / 1_000);
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** The time of day of that place. */
export function clockText(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `hitCount` and `hit-count` as `hit count`. */
export function plainWords(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[-_]/g, ' ')
    .toLowerCase();
}

/** What a count of a holder shows as: names that end in `Bytes` are bytes, in `Ms` times, in `Rate`, `Ratio` or `Share` parts of one. */
export function holderCountText(name: string, value: number): string {
  if (/bytes$/i.test(name)) return bytesText(value);
  if (/Ms$/.test(name)) return msText(value);
  if (/(rate|ratio|share)$/i.test(name) && value >= 0 && value <= 1) return percentText(value);
  return countText(value);
}
