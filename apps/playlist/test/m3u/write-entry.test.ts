import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHANNEL_FIELDS, Column, EntryBatch, Field, Flag } from '../../src/channels/entry-batch.ts';
import { M3uScanner } from '../../src/m3u/scan.ts';
import { renderHead, renderTail } from '../../src/m3u/write-entry.ts';
import { editEntry } from './edit-entry.ts';
import { parseText, readEntry } from './parse-text.ts';

type Edits = Partial<Record<keyof typeof Field, string>>;

function scanOne(text: string): EntryBatch {
  const batch = new EntryBatch(Buffer.byteLength(text) + 20_000, 10);
  new M3uScanner().scan(batch, batch.bytes.write(text), true);
  return batch;
}

/** Scans, edits the way rules do, and writes row 0 with `|` between the two pieces. */
function rewrite(text: string, edits: Edits = {}): string {
  const batch = scanOne(text);
  for (const [name, value] of Object.entries(edits)) editEntry(batch, 0, Field[name as keyof typeof Field], value);
  const out = Buffer.alloc(40_000);
  const head = renderHead(batch, 0, out, 0);
  const tail = renderTail(batch, 0, out, head);
  for (const size of [head - 1, tail - 1]) {
    const small = Buffer.alloc(size, 1);
    expect(renderTail(batch, 0, small, renderHead(batch, 0, small, 0))).toBe(-1);
  }
  const exact = Buffer.alloc(tail);
  expect(renderTail(batch, 0, exact, renderHead(batch, 0, exact, 0))).toBe(tail);
  expect(exact.equals(out.subarray(0, tail))).toBe(true);
  return `${out.toString('utf8', 0, head)}|${out.toString('utf8', head, tail)}`;
}

describe('a canonical entry', () => {
  test('is copied, without tvg-id and tvg-chno wherever they stand', () => {
    const attrs = { id: ' tvg-id="i"', chno: ' tvg-chno="7"', a: ' a="1"', group: ' group-title="g"' };
    for (const order of [
      [attrs.id, attrs.a, attrs.chno, attrs.group],
      [attrs.chno, attrs.a, attrs.id, attrs.group],
      [attrs.a, attrs.group, attrs.chno, attrs.id],
      [attrs.id, attrs.chno, attrs.a, attrs.group],
      [attrs.a, attrs.id, attrs.group],
      [attrs.a, attrs.chno, attrs.group],
      [attrs.a, attrs.group],
    ]) {
      expect(rewrite(`#EXTINF:-1${order.join('')},N, m\nhttp://u\n`)).toBe(
        '#EXTINF:-1| a="1" group-title="g",N, m\nhttp://u\n',
      );
    }
    expect(rewrite('#EXTINF:0 tvg-id="" tvg-chno="",N\nu')).toBe('#EXTINF:0|,N\nu\n');
  });

  test('ends its lines with a line feed and no white space', () => {
    expect(rewrite(' #EXTINF:-1 a="1",  N \t\r\n\r\n  http://u  \r\n')).toBe('#EXTINF:-1| a="1",N\nhttp://u\n');
    expect(rewrite('#EXTINF:-1 a="1",  N\nhttp://u\n')).toBe('#EXTINF:-1| a="1",N\nhttp://u\n');
  });

  test('takes its # lines along, tidied, without headers and HLS tags', () => {
    expect(
      rewrite(
        '  # before \r\n\r\n#EXTM3U x="y"\r\n#b\r\n#EXTINF:-1,N\r\n #EXTVLCOPT:a=b \r\n#EXTM3U\r\n#EXT-X-TARGETDURATION:1\r\nu',
      ),
    ).toBe('# before\n#b\n#EXTINF:-1|,N\n#EXTVLCOPT:a=b\nu\n');
  });
});

describe('an untidy entry', () => {
  test.each([
    [`#EXTINF:-1 TVG-ID="i"  Group-Title='g' a=b c = "d",N`, '#EXTINF:-1| group-title="g" a="b" c="d",N\nu\n'],
    ['#EXTINF:-1 channel-number="4" ch-number="5" a="b",N', '#EXTINF:-1| a="b",N\nu\n'],
    ['#EXTINF:-1 tvg-name="" tvg-name="The "Best" One" tvg-name="x",N', `#EXTINF:-1| tvg-name="The 'Best' One",N\nu\n`],
    [
      '#EXTINF:-1 tvg-name="Foo tvg-logo="l" group-title="News,N',
      '#EXTINF:-1| tvg-name="Foo" tvg-logo="l" group-title="News",N\nu\n',
    ],
    ['#EXTINF:-1 a="1" a="2" X-Y="3" stray,N', '#EXTINF:-1| a="1" a="2" X-Y="3",N\nu\n'],
    ['#EXTINF:-1 a="x" stray b= "y" Name', '#EXTINF:-1| a="x" b="y",Name\nu\n'],
    ['#EXTINF Name only', '#EXTINF:-1|,Name only\nu\n'],
    ['#EXTINF:24h News', '#EXTINF:-1|,24h News\nu\n'],
    ['#EXTINF:-1,tvg-id="a",group-title="b",N', '#EXTINF:-1| group-title="b",N\nu\n'],
  ])('%s', (line, written) => {
    expect(rewrite(`${line}\nu\n`)).toBe(written);
  });
});

describe('changed fields', () => {
  const entry = '#EXTINF:-1 tvg-id="i" tvg-name="n" a="1" group-title="g",Name\nhttp://u\n';

  test.each<[string, Edits, string]>([
    [
      'at their old place',
      { tvgName: 'm', group: 'h' },
      '#EXTINF:-1| tvg-name="m" a="1" group-title="h",Name\nhttp://u\n',
    ],
    [
      'added',
      { tvgLogo: 'l', tvgShift: '1' },
      '#EXTINF:-1| tvg-name="n" a="1" group-title="g" tvg-logo="l" tvg-shift="1",Name\nhttp://u\n',
    ],
    ['left out when blank', { tvgName: '', group: ' ' }, '#EXTINF:-1| a="1",Name\nhttp://u\n'],
    [
      'not id and number',
      { tvgId: 'j', tvgChno: '9' },
      '#EXTINF:-1| tvg-name="n" a="1" group-title="g",Name\nhttp://u\n',
    ],
    [
      'quotes and control characters',
      { group: 'a"b\n\u0000c' },
      `#EXTINF:-1| tvg-name="n" a="1" group-title="a'b  c",Name\nhttp://u\n`,
    ],
    ['name', { name: '\n New\r\nname ' }, '#EXTINF:-1| tvg-name="n" a="1" group-title="g",New  name\nhttp://u\n'],
    [
      'a name like an attribute',
      { name: 'tvg-id="x"' },
      '#EXTINF:-1| tvg-name="n" a="1" group-title="g",tvg-id:"x"\nhttp://u\n',
    ],
    ['url', { url: ' http://v\n' }, '#EXTINF:-1| tvg-name="n" a="1" group-title="g",Name\nhttp://v\n'],
    ['a url like a comment', { url: '#v' }, '#EXTINF:-1| tvg-name="n" a="1" group-title="g",Name\n%23v\n'],
  ])('%s', (_, edits, written) => {
    expect(rewrite(entry, edits)).toBe(written);
  });

  test('#EXTGRP follows the group', () => {
    expect(rewrite('#EXTINF:-1,N\n#EXTGRP:g\n#x\nu', { group: 'h' })).toBe('#EXTINF:-1|,N\n#EXTGRP:h\n#x\nu\n');
    expect(rewrite('#EXTINF:-1,N\n#EXTGRP:g\n#x\nu', { group: '' })).toBe('#EXTINF:-1|,N\n#x\nu\n');
    expect(rewrite('#EXTINF:-1 group-title="a",N\n#EXTGRP:g\nu', { group: 'h' })).toBe(
      '#EXTINF:-1| group-title="h",N\n#EXTGRP:h\nu\n',
    );
    expect(rewrite('#extgrp:a\n#EXTINF:-1,N\n#EXTGRP:b\n#EXTGRP:c\nu', { group: 'h' })).toBe(
      '#EXTGRP:h\n#EXTINF:-1|,N\nu\n',
    );
    expect(rewrite('#EXTINF:-1,N\n#EXTGRP:g\nu', { name: 'M' })).toBe('#EXTINF:-1|,M\n#EXTGRP:g\nu\n');
  });
});

describe('what is written reads back', () => {
  const word = fc.string({
    unit: fc.constantFrom(...'ab=",\' \t\n#é:-<', 'tvg-id=', 'group-title="', '#EXTINF:', '\uFEFF'),
    maxLength: 12,
  });
  const attribute = fc.tuple(
    fc.constantFrom(
      'tvg-id',
      'tvg-name',
      'TVG-LOGO',
      'tvg-chno',
      'channel-number',
      'tvg-shift',
      'group-title',
      'x',
      'catchup-source',
    ),
    fc.constantFrom('="', "='", '=', ' = "'),
    word.map((text) => text.replaceAll('\n', ' ')),
    fc.constantFrom('"', "'", ''),
  );
  const extinf = fc
    .tuple(
      fc.constantFrom('-1', '0', '', '12.5'),
      fc.array(attribute, { maxLength: 5 }),
      fc.constantFrom(',', '', ' , '),
      word,
    )
    .map(
      ([duration, attributes, comma, name]) =>
        `#EXTINF:${duration}${attributes.map((parts) => ` ${parts.join('')}`).join('')}${comma}${name.replaceAll('\n', ' ')}`,
    );
  const hashLines = fc.array(fc.constantFrom('#EXTGRP:Grp', '#x', ' #EXTVLCOPT:a', '', '#EXTM3U'), { maxLength: 3 });
  const edits = fc.dictionary(fc.constantFrom(...(Object.keys(Field) as (keyof typeof Field)[])), word, { maxKeys: 3 });

  /** White space and control characters as spaces, trimmed: in new values they become spaces, and nobody sees those at the ends. */
  const plain = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f]/g, ' ').replaceAll(/^ +| +$/g, '');
  const asName = (name: string): string =>
    /^(?:tvg-[\w.:-]*|group-title) *= *["']/i.test(name) ? name.replace('=', ':') : name;

  /** What must come back for each field; undefined where it is not written. */
  function expectedFields(batch: EntryBatch): (string | undefined)[] {
    const { fields, fromExtgrp } = readEntry(batch, 0);
    const flags = batch.table[Column.flags]!;
    return CHANNEL_FIELDS.map((_, field) => {
      const value = plain(fields[field] ?? '');
      if (field === Field.tvgId || field === Field.tvgChno) return undefined;
      if (field === Field.name) return (flags & (1 << Flag.changedShift)) === 0 ? value : asName(value);
      if (field === Field.url) return value.replace(/^[ \uFEFF]+/, '').replace(/^#/, '%23');
      return field === Field.group && fromExtgrp ? value : value.replaceAll('"', "'");
    });
  }

  test('with the same fields', () => {
    fc.assert(
      fc.property(hashLines, extinf, hashLines, edits, (before, line, after, changes) => {
        const batch = scanOne([...before, line, ...after, 'http://u/1', ''].join('\n'));
        expect(batch.count).toBe(1);
        for (const [name, value] of Object.entries(changes)) {
          if (name !== 'url' || plain(value).replaceAll('\uFEFF', '').trim() !== '')
            editEntry(batch, 0, Field[name as keyof typeof Field], value);
        }
        const expected = expectedFields(batch);
        const out = Buffer.alloc(20_000);
        const tail = renderTail(batch, 0, out, renderHead(batch, 0, out, 0));
        const { entries, problems } = parseText(`#EXTM3U\n${out.toString('utf8', 0, tail)}`);
        expect(problems).toEqual([]);
        expect(entries).toHaveLength(1);
        const found = entries[0]!.fields.map((field, i) =>
          expected[i] === undefined ? undefined : plain(field ?? ''),
        );
        expect(found).toEqual(expected);
      }),
      { numRuns: 3000 },
    );
  });
});
