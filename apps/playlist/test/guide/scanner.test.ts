import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scanAll } from './scan-all.ts';

const tv = (body: string): string => `<tv>${body}</tv>`;
const A = '<programme start="1" channel="a"><title>A</title></programme>';
const B = '<programme start="2" channel="b"><title>B</title></programme>';
const C = '<channel id="c"><display-name>C</display-name></channel>';

describe.each([
  ['wanted', true],
  ['not wanted', false],
])('when the programme is %s', (_, wanted) => {
  const wants = (): boolean => wanted;

  test.each([
    ['plain', `${C}${A}${B}`, [C, A, B]],
    ['white space goes with the element', `\n ${C}\r\n\t${A} \n`, [`\n ${C}`, `\r\n\t${A}`]],
    ['self-closed', '<channel id="c"/><programme channel="a" />', ['<channel id="c"/>', '<programme channel="a" />']],
    ['end tag inside CDATA', '<programme channel="a"><title><![CDATA[</programme>]]></title></programme>', undefined],
    [
      'start tag inside CDATA',
      '<programme channel="a"><title><![CDATA[<programme channel="z">]]></title></programme>',
      undefined,
    ],
    ['end tag inside a comment', '<programme channel="a"><!-- </programme> --></programme>', undefined],
    ['end tag inside an instruction', '<programme channel="a"><?x </programme> ?></programme>', undefined],
    [
      'CDATA that looks like an end',
      '<programme channel="a"><title><![CDATA[]] > ]>]]]]></title></programme>',
      undefined,
    ],
    [
      'the word in the text',
      '<programme channel="a"><desc>this programme/programme> programmes</desc></programme>',
      undefined,
    ],
    [
      'a child of a like name',
      '<programme channel="a"><programmes>x</programmes><programme-x/></programme>',
      undefined,
    ],
    ['> in an attribute', `<programme title="a > b" channel='x"y'><icon src="a>b"/></programme>`, undefined],
    ['/ at the end of an attribute', '<programme channel="a/"><url x="/">/</url></programme>', undefined],
    ['white space in tags', '<programme\n\tchannel = "a"\r\n><title\n>x</title ></programme\n >', undefined],
    [
      'nested children',
      '<programme channel="a"><credits><director>x</director><actor role="y">z</actor></credits></programme>',
      undefined,
    ],
    ['a child in capitals is another name', '<programme channel="a"><Programme>x</Programme></programme>', undefined],
  ])('%s', async (_name, body, expected) => {
    const result = await scanAll(tv(body), [65536], { wants });
    expect(result.elements).toEqual(expected ?? [body]);
    expect(result.damage).toEqual([]);
  });
});

test.each([
  ['comments between', `<!-- ${A} --- <tv> -->${B}`, [B]],
  ['instructions between', `<?php ${A} ?>${B}`, [B]],
  ['a long comment', `<!--${'x'.repeat(5000)}${A}-->${B}`, [B]],
])('what is commented out is not there: %s', async (_, body, expected) => {
  const result = await scanAll(tv(body), [33]);
  expect(result).toMatchObject({ elements: expected, damage: [] });
});

test.each([
  ['\uFEFF<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tv SYSTEM "xmltv.dtd">\n<tv>'],
  [
    '<!DOCTYPE tv [<!ENTITY a "]>\'"> <!-- ]> \' --> <!ELEMENT tv (x > y)> <?p ]> ?>]>\n<!-- <tv> --><tv a="</tv>" b=\'>\'>'.replace(
      '</tv>',
      '',
    ),
  ],
  ['  \n<tv\n>'],
])('prolog %#', async (prolog) => {
  expect(await scanAll(`${prolog}${C}${A}</tv >\n<!-- end --><?x?>\n`)).toMatchObject({ elements: [C, A], damage: [] });
});

test('no more than 32 bytes of white space go with an element', async () => {
  const { elements } = await scanAll(tv(`${' '.repeat(1000)}${A}`), [7]);
  expect(elements).toEqual([' '.repeat(32) + A]);
});

test.each([
  ['nothing', '', [], ['not-xmltv@0']],
  ['white space', ' \n', [], ['not-xmltv@2']],
  ['a page of HTML', '<!DOCTYPE html><html><body>No</body></html>', [], ['not-xmltv@15']],
  ['text', 'Error 500', [], ['stray-text@0']],
  ['no tv', `${C}${A}</tv>`, [C, A], ['not-xmltv@0']],
  ['no end', `<tv>${A}`, [A], [`missing-end@${4 + A.length}`]],
  [
    'cut in text',
    `<tv>${A}<programme channel="b"><title>x`,
    [A],
    [`unterminated-element@${4 + A.length}`, `missing-end@${4 + A.length + 31}`],
  ],
  [
    'cut in a tag',
    `<tv>${A}<programme chan`,
    [A],
    [`unterminated-element@${4 + A.length}`, `missing-end@${4 + A.length + 15}`],
  ],
  [
    'cut in an end tag',
    `<tv>${A}${B.slice(0, -3)}`,
    [A],
    [`unterminated-element@${4 + A.length}`, `missing-end@${4 + A.length + B.length - 3}`],
  ],
  ['end tag missing', tv(`<programme channel="x"><title>x</title>${A}`), [A], ['unterminated-element@4']],
  [
    'end tag of a channel missing',
    tv(`<channel id="x"><display-name>x</display-name>${C}${A}`),
    [C, A],
    ['unterminated-element@4'],
  ],
  [
    'end tag of the last missing',
    tv(`${A}<programme channel="x"><title>x</title>`),
    [A],
    [`unterminated-element@${4 + A.length}`],
  ],
  ['end tag of a child missing', tv(`<programme channel="x"><title>x</programme>${A}`), [A], ['unbalanced-element@4']],
  ['end tags crossed', tv(`<programme channel="x"><a><b></a></b></programme>${A}`), [A], ['unbalanced-element@4']],
  ['a bare <', tv(`<programme channel="x"><title>1 < 2</title></programme>${A}`), [A], ['unbalanced-element@4']],
  ['quote missing', tv(`<programme channel="x><title>x</title></programme>${A}${B}`), [A, B], ['bad-tag@4']],
  ['no value', tv(`<programme channel><title>x</title></programme>${A}`), [A], ['bad-tag@4']],
  ['stray text', tv(`${A} oops & more ${B}`), [A, B], [`stray-text@${5 + A.length}`]],
  ['stray elements', tv(`${A}<foo><bar>x</bar></foo> y ${B}`), [A, B], [`unexpected-element@${4 + A.length}`]],
  ['stray end tag', tv(`${A}</programme>${B}`), [A, B], [`unexpected-element@${4 + A.length}`]],
  ['stray CDATA', tv(`${A}<![CDATA[${B}]]>${B}`), [A, B], [`stray-text@${4 + A.length}`]],
  [
    'open CDATA',
    tv(`<programme channel="x"><title><![CDATA[x</title></programme>${A}`),
    [A],
    ['unterminated-element@4'],
  ],
  [
    'open comment',
    tv(`${A}<!-- ${B}`),
    [A],
    [`unterminated-markup@${4 + A.length}`, `missing-end@${4 + A.length + 5 + B.length + 5}`],
  ],
  ['after the end', `${tv(A)}x${tv(B)}`, [A, B], [`after-end@${9 + A.length}`]],
  ['two guides in one file', `${tv(A)}<?xml version="1.0"?>${tv(B)}`, [A, B], [`after-end@${9 + A.length + 21}`]],
  ['NUL bytes', tv(`${A}\0\0\0`), [A], [`stray-text@${4 + A.length}`]],
])('damage: %s', async (_, guide, elements, damage) => {
  for (const pieces of [[65536], [1], [3, 17]]) {
    const result = await scanAll(guide, pieces);
    expect(result.elements).toEqual(elements);
    expect(result.damage).toEqual(damage);
  }
});

test('what is not wanted is passed over without a look inside', async () => {
  const guide = tv(`<programme channel="x"><title>x</programme>${A}`);
  expect(await scanAll(guide, [65536], { wants: () => false })).toMatchObject({
    damage: [],
    elements: [guide.slice(4, 47), A],
  });
});

test('the buffer grows for a long element, up to a bound', async () => {
  const long = `<programme channel="a"><title>${'x'.repeat(3000)}</title></programme>`;
  expect((await scanAll(tv(long + A), [100])).elements).toEqual([long, A]);
  const bounded = await scanAll(tv(long + A), [100], { maxElementBytes: 1000 });
  expect(bounded).toMatchObject({ elements: [A], damage: ['element-too-long@4'] });
  expect(await scanAll(tv(long + A), [65536], { maxElementBytes: 1000, bufferBytes: 8192 })).toEqual(bounded);
});

test('entities of the DOCTYPE are noticed, not expanded', async () => {
  const laughs = '<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">';
  const body = '<programme channel="a"><title>&b;</title></programme>';
  expect((await scanAll(`<!DOCTYPE tv [${laughs}]>${tv(body)}`)).elements).toEqual([body]);
});

const piece = fc.constantFrom(
  A,
  B,
  C,
  '<tv>',
  '</tv>',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?x',
  '?>',
  '<programme',
  ' channel="q"',
  '>',
  '/>',
  '</programme>',
  '</channel>',
  '<title>',
  '</title>',
  '"',
  "'",
  '<',
  '>',
  '&amp;',
  ' ',
  '\n  ',
  'programme',
  'text',
  '<x>',
  '</x>',
  '<channel id="z">',
  'é',
  '<!DOCTYPE tv [',
  ']',
  '\u0000',
);

test('any pieces give the same elements and the same damage', async () => {
  const cases = fc.array(piece, { maxLength: 30 });
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(
      cases,
      cuts,
      fc.boolean(),
      fc.integer({ min: 40, max: 300 }),
      async (parts, pieces, wanted, maxElementBytes) => {
        const guide = `<tv>${parts.join('')}`;
        const options = { wants: () => wanted, maxElementBytes };
        const whole = await scanAll(guide, [65536], { ...options, bufferBytes: 4096 });
        expect(await scanAll(guide, pieces, options)).toEqual(whole);
      },
    ),
    { numRuns: 5000 },
  );
});

describe('no guide makes the scanner slow', () => {
  const MIB = 1024 * 1024;
  test.each([
    ['open CDATA in each programme', '<programme channel="a"><![CDATA['],
    ['open comment in each programme', '<programme channel="a"><!--'],
    ['open tags', '<programme channel="a"><b>'],
    ['open quotes', '<programme channel="'],
    ['nested words', '<programme channel="a">programme programme '],
    ['channels without end', '<channel id="a"><b><![CDATA['],
    ['declarations', '<!DOCTYPE tv ['],
    ['comments', '<programme a="b"><!-- --><!-- --><?x ?>'],
    ['<', '<'],
    ['instructions', '<?x'],
  ])('%s', async (_, part) => {
    for (const wanted of [true, false]) {
      const guide = Buffer.from(`<tv>${part.repeat(Math.ceil((4 * MIB) / part.length))}`);
      const started = performance.now();
      await scanAll(guide, [65536], { bufferBytes: 256 * 1024, maxElementBytes: MIB, wants: () => wanted });
      expect(performance.now() - started).toBeLessThan(5000);
    }
  });
});
