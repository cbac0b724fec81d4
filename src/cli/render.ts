/**
 * Pages for a terminal: the one file that knows colour and how a cursor is moved. Everything in a page may have been written by somebody else: what would move the cursor is
 * taken out of it.
 */
import { styleText } from 'node:util';
import { formatBytes } from '../bytes.ts';
import { withoutControlCharacters as plain } from '../control-characters.ts';
import type { Bar, Block, Cell, Fact, Note, Page, Series, Tone } from './page.ts';
import { formatDuration, formatShare } from './page.ts';

export interface RenderOptions {
  /** Columns, 40 up; 0 where a terminal does not know. Default 80, for 0 as well. */
  readonly width?: number;
  readonly colour?: boolean;
}

type Paint = (tone: Tone, text: string) => string;
type Style = Parameters<typeof styleText>[0];

const STYLES: Readonly<Record<Exclude<Tone, 'plain'>, Style>> = {
  strong: 'bold',
  dim: 'dim',
  good: 'green',
  warn: 'yellow',
  bad: 'red',
};
const USUAL_WIDTH = 80;
const LEAST_WIDTH = 40;
const MOST_WIDTH = 120;
const GAP = 2;
const BLOCKS = '▁▂▃▄▅▆▇█';
const CUT = '…';
const LEAST_SPAN = 0.1;

/** The page as text with a newline at the end. Pure: the same page gives the same text. No line is longer than `width`. */
export function renderPage(page: Page, options: RenderOptions = {}): string {
  const width = Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, options.width || USUAL_WIDTH));
  const paint: Paint = options.colour === true ? withColour : (_tone, text) => text;
  const title = cut(plain(page.title), width);
  const about = plain(page.about);
  const head = [paint('strong', title)];
  if (about !== '') {
    if (title.length + GAP + about.length <= width) head[0] += `  ${paint('dim', about)}`;
    else head.push(...wrap(about, width).map((line) => paint('dim', line)));
  }
  const lines = [...head];
  for (const block of page.blocks) {
    const drawn = draw(block, width, paint);
    if (drawn.length === 0) continue;
    lines.push('');
    if (block.title !== undefined) lines.push(paint('strong', cut(plain(block.title), width)));
    lines.push(...drawn);
  }
  return `${lines.join('\n')}\n`;
}

function withColour(tone: Tone, text: string): string {
  // Whether there is a terminal was decided by who calls.
  return tone === 'plain' || text === '' ? text : styleText(STYLES[tone], text, { validateStream: false });
}

function draw(block: Block, width: number, paint: Paint): string[] {
  switch (block.kind) {
    case 'facts':
      return drawFacts(block.rows, width, paint);
    case 'table':
      return drawTable(block.head, block.rows, width, paint);
    case 'bars':
      return drawBars(block.rows, width, paint);
    case 'chart':
      return drawChart(block, width, paint);
    case 'notes':
      return block.rows.flatMap((note) => drawNote(note, width, paint));
  }
}

function drawFacts(rows: readonly Fact[], width: number, paint: Paint): string[] {
  const indent = rows.reduce((most, { label }) => Math.max(most, plain(label).length), 0) + GAP;
  return rows.flatMap(({ label, value, tone = 'plain' }) =>
    wrap(plain(value), Math.max(16, width - indent)).map((line, index) => {
      const before = (index === 0 ? plain(label) : '').padEnd(indent);
      return `${paint('dim', before)}${paint(tone, line)}`;
    }),
  );
}

/** The first column gives way where the row is too long. */
function drawTable(
  head: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  width: number,
  paint: Paint,
): string[] {
  if (rows.length === 0) return [];
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? { text: cell, tone: 'plain' } : cell)));
  const names = head.map((name) => name.replace(/^</, ''));
  const widths = names.map((name, column) =>
    cells.reduce((most, row) => Math.max(most, plain(row[column]?.text ?? '').length), name.length),
  );
  const all = widths.reduce((sum, each) => sum + each, 0) + GAP * (widths.length - 1);
  // What is too wide is taken from the widest column to the left.
  for (let over = all - width; over > 0; ) {
    const left = widths.map((each, column) => (column === 0 || head[column]!.startsWith('<') ? each : 0));
    const widest = left.indexOf(Math.max(...left));
    const take = Math.min(over, Math.max(0, widths[widest]! - 8));
    if (take === 0) break;
    const second = Math.max(8, ...left.filter((_, column) => column !== widest));
    const step = Math.max(1, Math.min(take, widths[widest]! - second));
    widths[widest] = widths[widest]! - step;
    over -= step;
  }
  const line = (row: readonly Cell[], over?: Tone) =>
    row
      .map(({ text, tone }, column) => {
        const shown = cut(plain(text), widths[column]!);
        const isLeft = column === 0 || head[column]!.startsWith('<');
        const isLast = column === row.length - 1;
        const placed = isLeft ? (isLast ? shown : shown.padEnd(widths[column]!)) : shown.padStart(widths[column]!);
        return paint(over ?? tone, placed);
      })
      .join(' '.repeat(GAP));
  const top = line(
    names.map((text) => ({ text, tone: 'dim' })),
    'dim',
  );
  return [top, ...cells.map((row) => line(row as readonly Cell[]))].map((each) => trimEnd(each));
}

function drawBars(rows: readonly Bar[], width: number, paint: Paint): string[] {
  const label = Math.min(
    24,
    rows.reduce((most, row) => Math.max(most, plain(row.label).length), 0),
  );
  const value = rows.reduce((most, row) => Math.max(most, plain(row.value).length), 0);
  const share = 5;
  const room = Math.max(8, width - label - value - share - GAP * 3);
  return rows.map((row) => {
    const full = Math.min(room, Math.round(Math.max(0, row.ratio) * room));
    const bar = paint(row.tone, '█'.repeat(full)) + paint('dim', '░'.repeat(room - full));
    const name = cut(plain(row.label), label).padEnd(label);
    return `${name}  ${bar}  ${plain(row.value).padStart(value)}  ${formatShare(row.ratio).padStart(share)}`;
  });
}

function drawChart(block: Extract<Block, { kind: 'chart' }>, width: number, paint: Paint): string[] {
  const show = block.show === 'bytes' ? formatBytes : (value: number) => String(Math.round(value * 10) / 10);
  const known = block.series.filter(({ values }) => values.some((value) => value !== undefined));
  if (known.length === 0) return [];
  const ends = known.map(({ values }) => {
    const there = values.filter((value) => value !== undefined);
    return { least: show(Math.min(...there)), most: show(Math.max(...there)) };
  });
  const label = known.reduce((longest, { name }) => Math.max(longest, plain(name).length), 0);
  const beside = ends.reduce((longest, { least, most }) => Math.max(longest, least.length + most.length + 4), 0);
  const room = Math.max(10, width - label - beside - GAP * 2);
  const lines = known.map((series, index) => {
    const { least, most } = ends[index]!;
    const line = sparkline(series, room).padEnd(room);
    return `${plain(series.name).padEnd(label)}  ${paint('good', line)}  ${`${least} to ${most}`.padStart(beside)}`;
  });
  const time = formatDuration(block.elapsedMs);
  const axis = `${' '.repeat(label)}  0${time.padStart(Math.min(room, sparkLength(known, room)) - 1)}`;
  return [...lines, paint('dim', axis)];
}

const sparkLength = (series: readonly Series[], room: number): number =>
  Math.max(8, Math.min(room, Math.max(...series.map(({ values }) => values.length))));

/** From the least to the most of the series, which are a tenth apart at least, so that what stays the same looks so; each column the most of what falls into it. */
export function sparkline({ values }: Series, width: number): string {
  const columns = Math.min(width, values.length);
  const there = values.filter((value) => value !== undefined);
  const [least, most] = [Math.min(...there), Math.max(...there)];
  const span = Math.max(most - least, Math.abs(most) * LEAST_SPAN);
  let text = '';
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * values.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * values.length) / columns));
    const part = values.slice(from, to).filter((value) => value !== undefined);
    if (part.length === 0) text += ' ';
    else {
      const share = span === 0 ? 0 : (Math.max(...part) - least) / span;
      text += BLOCKS[Math.min(BLOCKS.length - 1, Math.floor(share * BLOCKS.length))];
    }
  }
  return text;
}

function drawNote({ text, tone, command }: Note, width: number, paint: Paint): string[] {
  const lines = wrap(plain(text), width - GAP).map((line, at) => `${at === 0 ? '- ' : '  '}${paint(tone, line)}`);
  if (command === undefined) return lines;
  const indent = ' '.repeat(GAP * 2);
  return [...lines, ...wrap(plain(command), width - GAP * 2).map((line) => `${indent}${paint('strong', line)}`)];
}

/** By words; a word that is longer than a line stands alone, and is broken where it does not fit. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/ +/)) {
    for (let rest = word; rest !== '' || word === ''; ) {
      const piece = rest.slice(0, width);
      rest = rest.slice(width);
      if (line === '') line = piece;
      else if (line.length + 1 + piece.length <= width) line += ` ${piece}`;
      else {
        lines.push(line);
        line = piece;
      }
      if (word === '') break;
    }
  }
  lines.push(line);
  return lines;
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}${CUT}`;

/** Spaces at the end, in front of a code that ends a colour as well. */
const trimEnd = (line: string): string => line.replace(/ +((?:\x1b\[\d+m)*)$/, '$1');

/** What a terminal is told around what is drawn in place of what was there. */
export const SCREEN = {
  /** Begins a picture of the whole screen: up left, without clearing first, which would flicker. */
  home: '\x1b[H',
  /** Ends each line of it, and the picture. */
  endLine: '\x1b[K',
  endPage: '\x1b[J',
  hideCursor: '\x1b[?25l',
  showCursor: '\x1b[?25h',
  /** Another screen, so that what stood on this one comes back. */
  open: '\x1b[?1049h',
  close: '\x1b[?1049l',
} as const;

/**
 * One line at the foot of a terminal that others write to: they keep the rows above it to themselves, which scroll without it (the scrolling region of the VT100, DECSTBM).
 * The row is made free by `IND`, which keeps the column: somebody may be in the middle of a line.
 */
export const FOOT = {
  open: (rows: number): string => `\x1bD\x1b7\x1b[1;${rows - 1}r\x1b8\x1b[1A`,
  draw: (rows: number, text: string): string => `\x1b7\x1b[${rows};1H\x1b[2K${text}\x1b8`,
  close: (rows: number): string => `\x1b7\x1b[r\x1b[${rows};1H\x1b[2K\x1b8`,
} as const;

/** A line that fits, with its first word in the colour of a tone. */
export function renderLine(tone: Tone, word: string, rest: string, options: RenderOptions): string {
  const width = options.width || USUAL_WIDTH;
  const text = cut(`${plain(word)}  ${plain(rest)}`, width);
  const first = text.slice(0, word.length);
  return options.colour === true ? `${withColour(tone, first)}${text.slice(word.length)}` : text;
}
