import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EntryBatch } from '../../src/channels/entry-batch.ts';
import { M3uScanner } from '../../src/m3u/scan.ts';
import { comparable, type ParsedEntry, parseText } from './parse-text.ts';

const NAMES = ['name', 'group', 'tvgId', 'tvgName', 'tvgLogo', 'tvgChno', 'tvgShift', 'url'] as const;

/** Present fields by name. */
function fieldsOf(entry: ParsedEntry | undefined): Record<string, string> {
  return Object.fromEntries(
    NAMES.flatMap((name, i) => (entry?.fields[i] === undefined ? [] : [[name, entry.fields[i]]])),
  );
}

/** The fields of the one entry whose line is given. */
function one(extinf: string): Record<string, string> {
  const { entries, problems } = parseText(`#EXTM3U\n${extinf}\nhttp://h/1\n`);
  expect(problems).toEqual([]);
  expect(entries).toHaveLength(1);
  const { url, ...fields } = fieldsOf(entries[0]);
  expect(url).toBe('http://h/1');
  return fields;
}

const kinds = (text: string): string[] => parseText(text).problems.map((problem) => `${problem.line} ${problem.kind}`);

describe('a well-formed entry', () => {
  test('gives every field, its line and no flag', () => {
    const { entries } = parseText(
      '#EXTM3U\n#EXTINF:-1 tvg-id="a.b" tvg-name="A, B" tvg-logo="http://l/x.png?a=1" tvg-chno="7" tvg-shift="-2" group-title="X;Y",Name, with comma\nhttp://h/1\n',
    );
    expect(fieldsOf(entries[0])).toEqual({
      name: 'Name, with comma',
      group: 'X;Y',
      tvgId: 'a.b',
      tvgName: 'A, B',
      tvgLogo: 'http://l/x.png?a=1',
      tvgChno: '7',
      tvgShift: '-2',
      url: 'http://h/1',
    });
    expect(entries[0]).toMatchObject({
      line: 2,
      duration: '-1',
      untidy: false,
      fromExtgrp: false,
      before: '',
      after: '',
    });
  });

  test('tells empty from absent', () => {
    expect(one('#EXTINF:-1 tvg-id="" group-title="",')).toEqual({ name: '', tvgId: '', group: '' });
  });
});

describe('attributes as people write them', () => {
  test.each([
    ['no space before the first', '#EXTINF:-1group-title="News",N', { group: 'News', name: 'N' }],
    ['no colon', '#EXTINF -1 group-title="News",N', { group: 'News', name: 'N' }],
    ['lower-case tag', '#extinf:-1 group-title="News",N', { group: 'News', name: 'N' }],
    [
      'single quotes',
      "#EXTINF:-1 group-title='Rock 'n' Roll' tvg-id='x',N",
      { group: "Rock 'n' Roll", tvgId: 'x', name: 'N' },
    ],
    ['no quotes', '#EXTINF:-1 tvg-id=abc group-title=News,N', { tvgId: 'abc', group: 'News', name: 'N' }],
    ['no value', '#EXTINF:-1 tvg-id= group-title="News",N', { tvgId: '', group: 'News', name: 'N' }],
    ['no value before the comma', '#EXTINF:-1 tvg-id=,N', { tvgId: '', name: 'N' }],
    [
      'white space around =',
      '#EXTINF:-1 tvg-id = "a" group-title= "b" tvg-name ="c",N',
      { tvgId: 'a', group: 'b', tvgName: 'c', name: 'N' },
    ],
    ['upper-case keys', '#EXTINF:-1 TVG-ID="a" Group-Title="b",N', { tvgId: 'a', group: 'b', name: 'N' }],
    ['tabs', '#EXTINF:-1\ttvg-id="a"\tgroup-title="b"\t,\tN\t', { tvgId: 'a', group: 'b', name: 'N' }],
    ['no space between', '#EXTINF:-1 tvg-id="a"group-title="b",N', { tvgId: 'a', group: 'b', name: 'N' }],
    ['commas between', '#EXTINF:-1, tvg-id="a", group-title="b", N', { tvgId: 'a', group: 'b', name: 'N' }],
    ['commas in a value', '#EXTINF:-1 group-title="a, b, c" tvg-id="x",N', { group: 'a, b, c', tvgId: 'x', name: 'N' }],
    [
      'quotes in a value',
      '#EXTINF:-1 tvg-name="The "Best" One" tvg-id="x",N',
      { tvgName: 'The "Best" One', tvgId: 'x', name: 'N' },
    ],
    ['doubled quotes', '#EXTINF:-1 tvg-name=""N"" tvg-id="x",N', { tvgName: '"N"', tvgId: 'x', name: 'N' }],
    [
      'a value that ends with =',
      '#EXTINF:-1 tvg-logo="http://l/?b64=aGk=" tvg-id="x",N',
      { tvgLogo: 'http://l/?b64=aGk=', tvgId: 'x', name: 'N' },
    ],
    ['a stray word', '#EXTINF:-1 tvg-id="a" radio group-title="b",N', { tvgId: 'a', group: 'b', name: 'N' }],
    ['synonyms of tvg-chno', '#EXTINF:-1 channel-number="5" ch-number="6",N', { tvgChno: '5', name: 'N' }],
    ['an unknown key', '#EXTINF:-1 catchup-source="http://x?a=b" x.y:z_1="2" tvg-id="a",N', { tvgId: 'a', name: 'N' }],
  ])('%s', (_, line, fields) => {
    expect(one(line)).toEqual(fields);
  });

  test.each([
    [
      'cut before the next key',
      '#EXTINF:-1 tvg-name="Foo tvg-logo="http://l/x.png" group-title="b",N',
      { tvgName: 'Foo', tvgLogo: 'http://l/x.png', group: 'b', name: 'N' },
    ],
    [
      'cut before an empty next key',
      '#EXTINF:-1 tvg-name="Foo tvg-logo="" group-title="b",N',
      { tvgName: 'Foo', tvgLogo: '', group: 'b', name: 'N' },
    ],
    [
      'twice',
      '#EXTINF:-1 tvg-name="Foo tvg-logo=" group-title="b",N',
      { tvgName: 'Foo', tvgLogo: '', group: 'b', name: 'N' },
    ],
    [
      'at once followed by a key',
      '#EXTINF:-1 tvg-name="tvg-logo="x" group-title="b",N',
      { tvgName: '', tvgLogo: 'x', group: 'b', name: 'N' },
    ],
    [
      'the last one, up to the comma',
      '#EXTINF:-1 tvg-id="x" group-title="News,N',
      { tvgId: 'x', group: 'News', name: 'N' },
    ],
    ['without a comma', '#EXTINF:-1 group-title="News', { group: 'News', name: '' }],
    ['a single quote', "#EXTINF:-1 group-title='News,N", { group: 'News', name: 'N' }],
  ])('unclosed quote: %s', (_, line, fields) => {
    expect(one(line)).toEqual(fields);
  });

  test('of a repeated attribute the first that is not empty wins', () => {
    expect(one('#EXTINF:-1 tvg-id="" tvg-id="b" tvg-id="c",N')).toEqual({ tvgId: 'b', name: 'N' });
    expect(one('#EXTINF:-1 tvg-id="a" tvg-id="",N')).toEqual({ tvgId: 'a', name: 'N' });
  });

  test.each([
    ['#EXTINF:-1 tvg-id="a" tvg-id="b",N', true],
    ['#EXTINF:-1 TVG-ID="a",N', true],
    ["#EXTINF:-1 tvg-id='a',N", true],
    ['#EXTINF:-1 tvg-id=a,N', true],
    ['#EXTINF:-1  tvg-id="a",N', true],
    ['#EXTINF:-1 tvg-id="a" ,N', true],
    ['#EXTINF:-1tvg-id="a",N', true],
    ['#EXTINF:-1 channel-number="1",N', true],
    ['#EXTINF:-1 tvg-name="The "Best" One",N', true],
    ['#EXTINF:-1 N', true],
    ['#EXTINF:-1 tvg-logo="x=" X-any="",N', false],
    ['#EXTINF:-1,N', false],
    ['#EXTINF:-1 tvg-id="a", N', false],
  ])('%s is untidy: %s', (line, untidy) => {
    expect(parseText(`${line}\nu\n`).entries[0]).toMatchObject({ untidy });
  });
});

describe('durations and names', () => {
  test.each([
    ['#EXTINF:-1,N', '-1', 'N'],
    ['#EXTINF:0,N', '0', 'N'],
    ['#EXTINF:10.5,N', '10.5', 'N'],
    ['#EXTINF: -1 ,N', '-1', 'N'],
    ['#EXTINF:,N', '', 'N'],
    ['#EXTINF:', '', ''],
    ['#EXTINF:-1', '-1', ''],
    ['#EXTINF:-1,', '-1', ''],
    ['#EXTINF:-1 Name only', '-1', 'Name only'],
    ['#EXTINF:-1 tvg-id="a" Name only', '-1', 'Name only'],
    ['#EXTINF:24h News', '', '24h News'],
    ['#EXTINF:-1,One, two, "three", x="4"', '-1', 'One, two, "three", x="4"'],
    ['#EXTINF:-1 tvg-id="a",tvg', '-1', 'tvg'],
    ['#EXTINF:-1 tvg-id="a",tvg-id is a key', '-1', 'tvg-id is a key'],
    ['#EXTINF:-1 tvg-id="a",Group-title = none', '-1', 'Group-title = none'],
    ['#EXTINF:-1 tvg-id="a",, N', '-1', ', N'],
  ])('%s', (line, duration, name) => {
    const entry = parseText(`${line}\nu\n`).entries[0];
    expect(entry).toMatchObject({ duration, fields: expect.arrayContaining([name]) });
    expect(entry?.fields[0]).toBe(name);
  });
});

describe('lines', () => {
  const body = ['#EXTM3U', '#EXTINF:-1 tvg-id="a",A', 'http://a', '', '#EXTINF:-1 tvg-id="b",B', 'http://b'];

  test.each(['\n', '\r\n', '\r'])('ended by %j', (end) => {
    const { entries, problems } = parseText(body.join(end));
    expect(problems).toEqual([]);
    expect(entries.map((entry) => [entry.fields[0], entry.fields[7], entry.line])).toEqual([
      ['A', 'http://a', 2],
      ['B', 'http://b', 5],
    ]);
  });

  test('a lone carriage return in a file of line feeds is white space', () => {
    expect(fieldsOf(parseText('#EXTM3U\n#EXTINF:-1,A\rB\r\n u\r \n').entries[0])).toEqual({ name: 'A\rB', url: 'u' });
  });

  test('are trimmed, whatever they are indented with', () => {
    const { entries } = parseText(
      '\t#EXTM3U\n    #EXTINF:-1 tvg-id="a",  A  \n  \t pipe://ffmpeg -i "http://a b" -f x pipe:1 \t\n',
    );
    expect(fieldsOf(entries[0])).toEqual({ tvgId: 'a', name: 'A', url: 'pipe://ffmpeg -i "http://a b" -f x pipe:1' });
  });

  test('a byte order mark is passed over, also where two files were joined', () => {
    const { entries, problems, headers } = parseText(
      '\uFEFF#EXTM3U a="1"\n#EXTINF:-1,A\nu\n\uFEFF#EXTM3U b="2"\n\uFEFF#EXTINF:-1,B\nv\n',
    );
    expect(problems).toEqual([]);
    expect(headers).toEqual(['a="1"', 'b="2"']);
    expect(entries.map((entry) => entry.fields[0])).toEqual(['A', 'B']);
  });

  test('the last one needs no line end', () => {
    expect(parseText('#EXTINF:-1,A\n  http://a ').entries[0]?.fields[7]).toBe('http://a');
  });
});

describe('# lines', () => {
  test('stay with their channel', () => {
    const { entries } = parseText(
      '#EXTM3U\n# Section\n\n#KODIPROP:a=b\n#EXTINF:-1,A\n#EXTVLCOPT:x\n\n#anything\nu\n#EXTVLCOPT:y\n#EXTINF:-1,B\nv\n#left over\n',
    );
    expect(entries.map(({ before, after }) => [before, after])).toEqual([
      ['# Section\n\n#KODIPROP:a=b\n', '#EXTVLCOPT:x\n\n#anything\n'],
      ['#EXTVLCOPT:y\n', ''],
    ]);
  });

  test('headers are handed out once, however the text is cut, and are nobody’s line', () => {
    const long = `url-tvg="${'http://guide.example/x.xml.gz,'.repeat(300)}"`;
    const text = `#EXTM3U8 ${long}\n#EXTM3U\n#c\n#EXTM3U x-tvg-url="u"\n#EXTINF:-1,A\n#EXTM3U\nu\n#EXTM3U\n`;
    for (const chunkBytes of [1, 1000, 100_000]) {
      const { headers, entries, problems } = parseText(text, { chunkBytes });
      expect(headers).toEqual([long, 'x-tvg-url="u"']);
      expect(entries.map((entry) => entry.fields[0])).toEqual(['A']);
      expect(problems).toEqual([]);
    }
  });

  test('#EXTGRP gives the group where there is none', () => {
    const { entries } = parseText(
      [
        '#EXTINF:-1,A\n#EXTGRP: News \nu',
        '#EXTGRP:Before\n#EXTINF:-1,B\nu',
        '#EXTINF:-1 group-title="",C\n#extgrp:Sport\nu',
        '#EXTINF:-1 group-title="Kept",D\n#EXTGRP:Not\nu',
        '#EXTINF:-1,E\nu',
        '#EXTINF:-1,F\n#EXTGRP:\n#EXTGRP:Second\nu\n',
      ].join('\n'),
    );
    expect(entries.map(({ fields, fromExtgrp }) => [fields[0], fields[1], fromExtgrp])).toEqual([
      ['A', 'News', true],
      ['B', 'Before', true],
      ['C', 'Sport', true],
      ['D', 'Kept', false],
      ['E', undefined, false],
      ['F', 'Second', true],
    ]);
  });
});

describe('problems', () => {
  test('#EXTINF without a URL, with line and name', () => {
    expect(parseText('#EXTM3U\n#EXTINF:-1,A\n#EXTGRP:g\n#EXTINF:-1,B\nu\n#EXTINF:-1,C\n').problems).toEqual([
      { line: 2, kind: 'extinf-without-url', detail: 'A' },
      { line: 6, kind: 'extinf-without-url', detail: 'C' },
    ]);
    expect(kinds('#EXTINF:-1,A\n#EXTINF:-1,B')).toEqual(['1 extinf-without-url', '2 extinf-without-url']);
  });

  test('what was open does not leak into the next entry', () => {
    const { entries } = parseText('#x\n#EXTINF:-1 tvg-id="a",A\n#EXTGRP:g\n#y\n#EXTINF:-1,B\nu\n');
    expect(entries).toHaveLength(1);
    expect(fieldsOf(entries[0])).toEqual({ name: 'B', url: 'u' });
    expect(entries[0]).toMatchObject({ before: '', after: '' });
  });

  test('URL without #EXTINF', () => {
    expect(parseText('#EXTM3U\n====\n#EXTINF:-1,A\nu\nhttp://lost\n\nlast').problems).toEqual([
      { line: 2, kind: 'url-without-extinf', detail: '====' },
      { line: 5, kind: 'url-without-extinf', detail: 'http://lost' },
      { line: 7, kind: 'url-without-extinf', detail: 'last' },
    ]);
  });

  test('an HLS playlist is refused with one problem', () => {
    for (const tag of ['#EXT-X-TARGETDURATION:10', '#EXT-X-MEDIA-SEQUENCE:3', '#EXT-X-STREAM-INF:BANDWIDTH=1']) {
      const { entries, problems, scanner } = parseText(`#EXTM3U\n#EXT-X-VERSION:3\n${tag}\n#EXTINF:10,\na.ts\nb.ts\n`, {
        batchBytes: 64,
      });
      expect(entries).toEqual([]);
      expect(problems).toEqual([{ line: 3, kind: 'hls-not-a-channel-list', detail: tag }]);
      expect(scanner.refused).toBe(true);
    }
    expect(parseText('#EXTM3U\n#EXTINF:-1,A\nu\n#EXT-X-TARGETDURATION:10\n#EXTINF:-1,B\nv\n').entries).toHaveLength(2);
  });

  test('are counted by kind', () => {
    const { scanner } = parseText('x\n#EXTINF:-1,A\n#EXTINF:-1,B\nu\n');
    expect(scanner.problemCounts).toMatchObject({
      'extinf-without-url': 1,
      'url-without-extinf': 1,
      'entry-too-long': 0,
    });
    expect(scanner.problemCount).toBe(2);
    expect(scanner.entryCount).toBe(1);
  });
});

describe('an entry that does not fit in a batch', () => {
  const good = '#EXTINF:-1,Good\nhttp://good\n';
  const long = 'x'.repeat(3000);

  test.each([
    ['long #EXTINF', `${good}#EXTINF:-1 tvg-name="${long}",A\nhttp://a\n${good}`, '3 entry-too-long', 5],
    ['long URL', `${good}#EXTINF:-1,A\nhttp://${long}\n${good}`, '3 entry-too-long', 5],
    ['long # lines after', `${good}#EXTINF:-1,A\n${'#y\n'.repeat(900)}http://a\n${good}`, '3 entry-too-long', 905],
    ['one long # line after', `${good}#EXTINF:-1,A\n#${long}\nhttp://a\n${good}`, '3 entry-too-long', 6],
    ['long # lines before', `${good}${'#y\n'.repeat(900)}${good}`, '3 comments-too-long', 903],
    ['one long # line before', `${good}#${long}\n${good}`, '3 comments-too-long', 4],
    ['long stray line', `${good}${long}\n${good}`, '3 url-without-extinf', 4],
  ])('%s: reported, and what follows is read', (_, text, problem, lastLine) => {
    for (const chunkBytes of [undefined, 100, 7]) {
      const { entries, problems } = parseText(text, {
        batchBytes: 1024,
        ...(chunkBytes === undefined ? {} : { chunkBytes }),
      });
      expect(entries.map((entry) => [entry.fields[0], entry.line])).toEqual([
        ['Good', 1],
        ['Good', lastLine],
      ]);
      expect(problems[0]?.detail).toBe('longer than 1 KiB');
      expect(problems.map(({ line, kind }) => `${line} ${kind}`)).toEqual([problem]);
    }
  });

  test('the URL that is passed over with it is its own, no other', () => {
    const text = `#EXTINF:-1 a="${long}",A\n${good}stray\n`;
    expect(parseText(text, { batchBytes: 1024 }).problems).toEqual([
      { line: 1, kind: 'entry-too-long', detail: 'longer than 1 KiB' },
      { line: 4, kind: 'url-without-extinf', detail: 'stray' },
    ]);
  });

  test('any number of empty lines is no problem', () => {
    const { entries, problems } = parseText(`${good}${'\n'.repeat(5000)}${good}`, { batchBytes: 1024 });
    expect(problems).toEqual([]);
    expect(entries.map((entry) => entry.line)).toEqual([1, 5003]);
  });

  test('a long header is handed out as far as it goes', () => {
    const { headers, entries } = parseText(`#EXTM3U url-tvg="${long}"\n${good}`, { batchBytes: 1024 });
    expect(headers[0]).toHaveLength(1024 - '#EXTM3U '.length);
    expect(entries).toHaveLength(1);
  });
});

describe('batches', () => {
  test('a full table ends a call, also the last one', () => {
    const batch = new EntryBatch(100, 2);
    const text = '#EXTINF:-1,A\nu\n'.repeat(5);
    batch.bytes.write(text);
    const scanner = new M3uScanner();
    expect(scanner.scan(batch, text.length, true)).toBe(30);
    expect([batch.count, batch.live, batch.used]).toEqual([2, 2, 75]);
  });

  test('an unfinished entry is not consumed', () => {
    const batch = new EntryBatch(100, 10);
    const length = batch.bytes.write('#EXTINF:-1,A\nu\n# b\n#EXTINF:-1,B\nhttp');
    expect(new M3uScanner().scan(batch, length, false)).toBe(15);
    expect(batch.count).toBe(1);
  });

  const line = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        '#EXTINF:-1 tvg-id="a" group-title="g",Näme',
        '#EXTINF:-1 tvg-id=a b="c, tvg-id="x",N',
        '#EXTINF:0,',
      ),
    },
    { weight: 4, arbitrary: fc.constantFrom('http://a/b', 'pipe://x y', ' u ', '====') },
    {
      weight: 3,
      arbitrary: fc.constantFrom('#EXTGRP:G', '#EXTVLCOPT:x', '#EXTM3U a="b"', '#EXTM3U', '', '   ', '\uFEFF', '#'),
    },
  );
  const list = fc
    .tuple(fc.array(line, { maxLength: 25 }), fc.constantFrom('\n', '\r\n', '\r'), fc.boolean())
    .map(([lines, end, ended]) => lines.join(end) + (ended ? end : ''));

  test('the rows do not depend on where the text is cut', () => {
    fc.assert(
      fc.property(list, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 5 }), (text, chunkBytes, rows) => {
        const whole = comparable(parseText(text));
        expect(comparable(parseText(text, { chunkBytes, rows }))).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  test('every single cut of one text', () => {
    const text = Buffer.from(
      '\uFEFF#EXTM3U u="1"\r\n#c\r\n#EXTINF:-1 tvg-id="ä" tvg-name="b,Ü\r\n#EXTGRP:x\r\nhttp://a\r\nstray\r\n#EXTINF:-1,\r\n#EXTINF:-1,C\r\nv',
    );
    const whole = comparable(parseText(text));
    for (let chunkBytes = 1; chunkBytes <= text.length; chunkBytes++) {
      expect(comparable(parseText(text, { chunkBytes }))).toEqual(whole);
    }
  });

  test('a buffer that just holds an entry is enough', () => {
    const text = '#EXTINF:-1 tvg-id="abc",Name\nhttp://host/1\n'.repeat(20);
    expect(parseText(text, { batchBytes: 44 }).entries).toHaveLength(20);
    expect(parseText(text, { batchBytes: 44 }).problems).toEqual([]);
  });
});

describe('time', () => {
  // Each was quadratic in some parser: 1 MiB then takes minutes, not milliseconds.
  test.each([
    ['unclosed quotes', 'k="x '],
    ['quotes with spaced keys', 'k= "x" b '],
    ['mixed quotes', `tvg-a='x,tvg-b="y `],
    ['commas and keys', ',tvg-a'],
    ['bare quotes', '"'],
    ['equals signs', 'a='],
    ['white space', ' '],
    ['spaced equals', 'a = '],
    ['key bytes', 'k'],
  ])('is linear in a line of %s', (_, piece) => {
    const text = `#EXTINF:-1 a="${piece.repeat(Math.floor(1_000_000 / piece.length))}\nu\n`;
    const started = performance.now();
    expect(parseText(text).entries).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
