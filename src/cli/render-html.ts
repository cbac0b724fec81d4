/** Pages as one file for a browser: no script, nothing loaded from elsewhere, and a policy in it that allows nothing else. */
import { formatBytes } from '../bytes.ts';
import { withoutControlCharacters as plain } from '../control-characters.ts';
import { type Block, type Cell, formatDuration, formatShare, type Note, type Page, type Series } from './page.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6675; --paper: #fff; --line: #d9dee5; --good: #1a7f4b; --warn: #9a6200; --bad: #b3261e; --bar: #e9edf2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --paper: #14181f; --line: #313a47; --good: #4cc38a; --warn: #e5a73b; --bad: #ff7b72; --bar: #222a35; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
p.about { color: var(--soft); margin: .2rem 0 1.5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; } th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); } .right { text-align: right; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .dim { color: var(--soft); } .strong { font-weight: 600; }
svg { display: block; width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .axis { stroke: var(--line); } svg .limit { stroke: var(--bad); stroke-dasharray: 6 4; }
svg .back { fill: var(--bar); } svg .fill { fill: currentColor; } ul { padding-left: 1.2rem; margin: 0; } .key span { margin-right: 1.2rem; white-space: nowrap; }
`.trim();
const COLOURS = ['#2f6fde', '#1a9a6c', '#c2571a', '#8a4fc4', '#a98300', '#c23a6b'];
const WIDTH = 900;
const HEIGHT = 260;
const LEFT = 70;
const BOTTOM = 24;
const TOP = 10;
const STEPS = 4;

/** The page as one HTML file. Pure: the same page gives the same text. Whatever stands in the page is text in it, and never markup. */
export function renderHtml(page: Page): string {
  const title = escaped(page.title);
  const body = page.blocks.map(section).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="about">${escaped(page.about)}</p>
${body}
</main>
</body>
</html>
`;
}

function section(block: Block): string {
  const drawn = draw(block);
  if (drawn === '') return '';
  return `<section>${block.title === undefined ? '' : `<h2>${escaped(block.title)}</h2>`}\n${drawn}\n</section>`;
}

function draw(block: Block): string {
  switch (block.kind) {
    case 'facts':
      return `<dl>${block.rows.map(({ label, value, tone = 'plain' }) => `<dt>${escaped(label)}</dt><dd${classOf(tone)}>${escaped(value)}</dd>`).join('\n')}</dl>`;
    case 'table':
      return block.rows.length === 0 ? '' : table(block.head, block.rows);
    case 'bars':
      return `<div class="wide"><table>${block.rows.map(bar).join('\n')}</table></div>`;
    case 'chart':
      return chart(block);
    case 'notes':
      return block.rows.length === 0 ? '' : `<ul>${block.rows.map(note).join('\n')}</ul>`;
  }
}

function note({ text, tone, command }: Note): string {
  const line = command === undefined ? '' : `<br><code>${escaped(command)}</code>`;
  return `<li${classOf(tone)}>${escaped(text)}${line}</li>`;
}

function table(head: readonly string[], rows: readonly (readonly (string | Cell)[])[]): string {
  const right = head.map((name, column) => column > 0 && !name.startsWith('<'));
  const side = (column: number) => (right[column] === true ? 'right' : '');
  const top = head.map(
    (name, column) => `<th scope="col"${classOf(side(column))}>${escaped(name.replace(/^</, ''))}</th>`,
  );
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => {
      const { text, tone } = typeof cell === 'string' ? { text: cell, tone: 'plain' } : cell;
      return `<td${classOf(`${side(column)} ${tone}`)}>${escaped(text)}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="wide"><table><thead><tr>${top.join('')}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`;
}

function bar({ label, value, ratio, tone }: Extract<Block, { kind: 'bars' }>['rows'][number]): string {
  const part = Math.max(0, Math.min(1, ratio)) * 100;
  const picture = `<svg viewBox="0 0 100 8" preserveAspectRatio="none" style="height:12px" aria-hidden="true"><rect class="back" width="100" height="8"/><rect class="fill" width="${part.toFixed(1)}" height="8"/></svg>`;
  return `<tr><th scope="row">${escaped(label)}</th><td${classOf(tone)} style="width:50%">${picture}</td><td class="right">${escaped(value)}</td><td class="right">${formatShare(ratio)}</td></tr>`;
}

function chart({ series, show, elapsedMs, limit, title }: Extract<Block, { kind: 'chart' }>): string {
  const there = series.flatMap(({ values }) => values.filter((value) => value !== undefined));
  if (there.length === 0) return '';
  const highest = Math.max(...there);
  // A line that is far away would press all curves to the floor.
  const isNear = limit !== undefined && limit <= highest * 2;
  const top = Math.max(1, (isNear ? Math.max(highest, limit) : highest) * 1.05);
  const y = (value: number) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const text = show === 'bytes' ? formatBytes : (value: number) => String(Math.round(value));
  const axis = Array.from({ length: STEPS + 1 }, (_, step) => {
    const value = (top * step) / STEPS;
    const at = y(value).toFixed(1);
    return `<line class="axis" x1="${LEFT}" x2="${WIDTH}" y1="${at}" y2="${at}"/><text x="${LEFT - 6}" y="${at}" text-anchor="end" dominant-baseline="middle">${text(value)}</text>`;
  });
  const lines = series.map(
    (one, index) =>
      `<path d="${path(one, y)}" fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="2"/>`,
  );
  const line = isNear
    ? `<line class="limit" x1="${LEFT}" x2="${WIDTH}" y1="${y(limit).toFixed(1)}" y2="${y(limit).toFixed(1)}"/>`
    : '';
  const key = series.map(({ name, values }, index) => {
    const known = values.filter((value) => value !== undefined);
    const most = known.length === 0 ? '-' : text(Math.max(...known));
    return `<span><svg style="display:inline;width:12px;height:12px" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" fill="${COLOURS[index % COLOURS.length]}"/></svg> ${escaped(name)}, at most ${most}</span>`;
  });
  const limitKey = limit === undefined ? '' : `<span class="dim">the line: ${text(limit)}</span>`;
  const times = `<text x="${LEFT}" y="${HEIGHT - 6}">0</text><text x="${WIDTH}" y="${HEIGHT - 6}" text-anchor="end">${formatDuration(elapsedMs)}</text>`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}: ${escaped(series.map(({ name }) => name).join(', '))}">${axis.join('')}${lines.join('')}${line}${times}</svg>
<p class="key">${key.join('')}${limitKey}</p>`;
}

function path({ values }: Series, y: (value: number) => number): string {
  const step = values.length > 1 ? (WIDTH - LEFT) / (values.length - 1) : 0;
  let pen = 'M';
  let drawn = '';
  for (const [index, value] of values.entries()) {
    if (value === undefined) {
      pen = 'M';
      continue;
    }
    drawn += `${pen}${(LEFT + index * step).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = 'L';
  }
  return drawn;
}

function classOf(names: string): string {
  const known = names
    .trim()
    .replace(/\bplain\b/, '')
    .trim();
  return known === '' ? '' : ` class="${known}"`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => plain(text).replaceAll(/[&<>"']/g, (character) => ESCAPES[character]!);
