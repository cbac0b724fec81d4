import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Block, Page, Tone } from '../../src/cli/page.ts';
import { renderPage, sparkline } from '../../src/cli/render.ts';
import { renderHtml } from '../../src/cli/render-html.ts';

const PAGE: Page = {
  title: 'A run',
  about: 'of something',
  blocks: [
    {
      kind: 'facts',
      rows: [
        { label: 'level', value: 'high by rss', tone: 'warn' },
        {
          label: 'collections',
          value: 'a hundred and twenty, and each of them took longer than the one that was before',
        },
      ],
    },
    { kind: 'bars', title: 'Meters', rows: [{ label: 'rss', value: '75MiB', ratio: 0.75, tone: 'warn' }] },
    {
      kind: 'table',
      title: 'Held',
      head: ['name', '<kind', 'bytes'],
      rows: [
        ['rows', 'heap', '5MiB'],
        ['x'.repeat(90), 'external', '12MiB'],
      ],
    },
    {
      kind: 'chart',
      title: 'Over time',
      series: [{ name: 'rss', values: [0, 50, 100, undefined, 100] }],
      show: 'number',
      elapsedMs: 4_000,
    },
    { kind: 'notes', rows: [{ text: 'do this', tone: 'bad', command: 'export A=1' }] },
    { kind: 'notes', title: 'Nothing', rows: [] },
  ],
};

const TONES: Tone[] = ['plain', 'strong', 'dim', 'good', 'warn', 'bad'];
const text = fc.string({ unit: 'grapheme', maxLength: 120 });
const tone = fc.constantFrom(...TONES);
const block: fc.Arbitrary<Block> = fc.oneof(
  fc.record({
    kind: fc.constant('facts' as const),
    rows: fc.array(fc.record({ label: fc.string({ maxLength: 20 }), value: text, tone })),
  }),
  fc.record({ kind: fc.constant('notes' as const), rows: fc.array(fc.record({ text, tone, command: text })) }),
  fc.record({
    kind: fc.constant('table' as const),
    head: fc.constant(['a', '<b', 'c']),
    rows: fc.array(fc.tuple(text, text, fc.string({ maxLength: 12 })).map((row) => [...row])),
  }),
);

describe('a page in a terminal', () => {
  it('has 80 columns, what is long wrapped or cut, and blocks without rows left out', () => {
    expect(renderPage(PAGE)).toBe(`A run  of something

level        high by rss
collections  a hundred and twenty, and each of them took longer than the one
             that was before

Meters
rss  ${'█'.repeat(46)}${'░'.repeat(15)}  75MiB    75%

Held
name                                                             kind      bytes
rows                                                             heap       5MiB
${'x'.repeat(62)}…  external  12MiB

Over time
rss  ▁▅█ █                                                              0 to 100
     0   4.0s

- do this
    export A=1
`);
  });

  it('never has a longer line, nor a control character of somebody else', () => {
    fc.assert(
      fc.property(text, fc.array(block), fc.integer({ min: 40, max: 120 }), (title, blocks, width) => {
        const lines = renderPage({ title, about: title, blocks }, { width }).split('\n');
        for (const line of lines) {
          expect(line.length).toBeLessThanOrEqual(width);
          expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
        }
      }),
    );
  });

  it('cannot have its cursor moved by a name', () => {
    const evil = '\x1b[2J\x1b]0;title\x07\rgone\n';
    const rows = [{ label: evil, value: evil }];
    const drawn = renderPage({ title: evil, about: evil, blocks: [{ kind: 'facts', rows }] });
    expect(drawn).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
    expect(drawn.split('\n').length).toBe(4);
  });

  it('has colours only where they were asked for, and the same text with them', () => {
    const coloured = renderPage(PAGE, { colour: true });
    expect(coloured).toContain('\x1b[33mhigh by rss\x1b[39m');
    expect(coloured.replaceAll(/\x1b\[\d+m/g, '').replaceAll(/ +$/gm, '')).toBe(renderPage(PAGE));
  });

  it('draws the most of what falls into a column', () => {
    expect(sparkline({ name: '', values: [0, 0, 0, 9, 0, 0] }, 3)).toBe('▁█▁');
    expect(sparkline({ name: '', values: [5, 5] }, 8)).toBe('▁▁');
  });
});

describe('a page in a browser', () => {
  it('stands alone: no script, nothing from elsewhere, and a policy that allows neither', () => {
    const html = renderHtml(PAGE);
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(html).not.toMatch(/<script|\bsrc=|<link|https?:\/\/|@import/);
    expect(html).toMatch(
      /<svg viewBox="0 0 900 260" role="img" aria-label="Over time: rss">.*<path d="M70\.0 236\.0L277\.5 /s,
    );
  });

  it('shows markup in a name as text', () => {
    const evil = `</title><script>alert("1")</script><img src=x onerror='x'>`;
    const rows = [[evil, { text: evil, tone: 'bad' as const }]];
    const series = [{ name: evil, values: [1, 2] }];
    const html = renderHtml({
      title: evil,
      about: evil,
      blocks: [
        { kind: 'table', title: evil, head: [evil, evil], rows },
        { kind: 'facts', rows: [{ label: evil, value: evil }] },
        { kind: 'bars', rows: [{ label: evil, value: evil, ratio: 2, tone: 'bad' }] },
        { kind: 'chart', title: evil, series, show: 'bytes', elapsedMs: 1 },
        { kind: 'notes', rows: [{ text: evil, tone: 'dim', command: evil }] },
      ],
    });
    expect(html).not.toMatch(/<script|<img/);
    expect(html.match(/&lt;script&gt;alert\(&quot;1&quot;\)/g)!.length).toBe(18);
  });
});
