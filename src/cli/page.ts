/**
 * What a report shows, as plain data: reports make pages, and the terminal (`render.ts`), the web page (`render-html.ts`) and nobody else make pictures of them.
 */
import { DEFAULT_THRESHOLDS, type PressureThresholds } from '../governor/index.ts';

/** What a text means, for whoever has colours. */
export type Tone = 'plain' | 'strong' | 'dim' | 'good' | 'warn' | 'bad';

export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}

/** A sentence, and a line for a shell that goes with it, which stands alone so that it can be copied. */
export interface Note extends Cell {
  readonly command?: string;
}

export interface Fact {
  readonly label: string;
  readonly value: string;
  readonly tone?: Tone;
}

export interface Bar {
  readonly label: string;
  readonly value: string;
  /** Of the line, 0 up. */
  readonly ratio: number;
  readonly tone: Tone;
}

/** Values at equal distances of time; undefined where there is none. */
export interface Series {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
}

export type Block =
  | { readonly kind: 'facts'; readonly title?: string; readonly rows: readonly Fact[] }
  | {
      readonly kind: 'table';
      readonly title?: string;
      /** The first column is to the left, the others to the right unless their head begins with `<`. */
      readonly head: readonly string[];
      readonly rows: readonly (readonly (string | Cell)[])[];
    }
  | { readonly kind: 'bars'; readonly title?: string; readonly rows: readonly Bar[] }
  | {
      readonly kind: 'chart';
      readonly title: string;
      readonly series: readonly Series[];
      readonly show: 'bytes' | 'number';
      readonly elapsedMs: number;
      /** Drawn across where there is room for it. */
      readonly limit?: number;
    }
  | { readonly kind: 'notes'; readonly title?: string; readonly rows: readonly Note[] };

export interface Page {
  readonly title: string;
  /** Behind the title: what it is of, when. */
  readonly about: string;
  readonly blocks: readonly Block[];
}

const TONES: ReadonlyMap<string, Tone> = new Map([
  ['optimal', 'good'],
  ['moderate', 'good'],
  ['high', 'warn'],
  ['critical', 'bad'],
  ['emergency', 'bad'],
]);

/** How a pressure level is shown; one that is not known, plain. */
export const toneOfLevel = (level: string): Tone => TONES.get(level) ?? 'plain';

/** How a share of a limit is shown: by where pressure begins, or begins unless somebody has set it otherwise. */
export const toneOfRatio = (
  ratio: number,
  { high, critical }: Pick<PressureThresholds, 'high' | 'critical'> = DEFAULT_THRESHOLDS,
): Tone => (ratio >= critical ? 'bad' : ratio >= high ? 'warn' : 'good');

/** `1 train`, `2 trains`. */
export const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/** More than any machine has: who gives no target asks for 8 PiB, less what was found already. */
const NO_TARGET_BYTES = 2 ** 50;

/** Whether a reclaim was asked for as much as there is, and no amount of it. */
export const isWithoutTarget = (targetBytes: number): boolean => targetBytes >= NO_TARGET_BYTES;

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;

/** `340ms`, `4.2s`, `3m 20s`, `2h 5m`. */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)}ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)}s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m ${Math.floor((ms % MINUTE) / SECOND)}s`;
  return `${Math.floor(ms / HOUR)}h ${Math.floor((ms % HOUR) / MINUTE)}m`;
}

/** `71%`; with one decimal below 10. */
export function formatShare(ratio: number): string {
  const percent = ratio * 100;
  return `${percent < 10 ? percent.toFixed(1).replace(/\.0$/, '') : Math.round(percent)}%`;
}
