/** What a terminal shows, as SVG. Knows bold, dim, and red, green and yellow, which is all that the command line uses. */

const CELL_WIDTH = 8.4;
const LINE_HEIGHT = 18;
const MARGIN = 18;
const STYLES: Readonly<Record<string, string>> = {
  1: 'font-weight="700"',
  2: 'fill="#8fa0ad"',
  31: 'fill="#ff8088"',
  32: 'fill="#69cf93"',
  33: 'fill="#eabf4f"',
};
const SGR = /\x1b\[(\d+)m/g;

/** One row of text for each line, stretched to its cells: fonts differ in how wide they draw blocks. */
export function terminalPicture(text: string, columns: number): string {
  const lines = text.trimEnd().split('\n');
  const width = columns * CELL_WIDTH + 2 * MARGIN;
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  const rows = lines.flatMap((line, i) => rowOf(line, MARGIN + (i + 0.75) * LINE_HEIGHT));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="plimsoll top in a terminal">`,
    `<rect width="${width}" height="${height}" rx="10" fill="#141b21"/>`,
    '<g font-family="ui-monospace,SFMono-Regular,Menlo,DejaVu Sans Mono,monospace" font-size="14" fill="#e4eaef" xml:space="preserve">',
    ...rows,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

/** Stretches of one style, each at its own column. */
function rowOf(line: string, y: number): string[] {
  const parts: string[] = [];
  let style = '';
  let column = 0;
  const add = (piece: string): void => {
    // Spaces need not be drawn, and would be stretched.
    for (const { 0: word, index } of piece.matchAll(/\S+(?: \S+)*/g)) {
      const x = MARGIN + (column + [...piece.slice(0, index)].length) * CELL_WIDTH;
      const length = [...word].length * CELL_WIDTH;
      const place = `x="${x.toFixed(1)}" y="${y.toFixed(1)}" textLength="${length.toFixed(1)}" lengthAdjust="spacingAndGlyphs"`;
      parts.push(`<text ${place}${style === '' ? '' : ` ${style}`}>${escaped(word)}</text>`);
    }
    column += [...piece].length;
  };
  let from = 0;
  for (const { 0: code, 1: number, index } of line.matchAll(SGR)) {
    add(line.slice(from, index));
    style = STYLES[number!] ?? '';
    from = index + code.length;
  }
  add(line.slice(from));
  return parts;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
