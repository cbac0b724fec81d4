import fc from 'fast-check';

/** Characters on which regular expression engines have been known to differ. */
export const TELLING_CHARACTERS = [
  ...[
    'a',
    'b',
    'A',
    'k',
    'K',
    '\u212a',
    's',
    'S',
    '\u017f',
    'i',
    'I',
    '\u0130',
    '\u0131',
    '\u00e9',
    '\u00c9',
    '\u00df',
  ],
  ...[
    '0',
    '9',
    '_',
    '-',
    '.',
    '(',
    '[',
    '^',
    '$',
    '\\',
    ' ',
    '\t',
    '\v',
    '\f',
    '\n',
    '\r',
    '\u0085',
    '\u00a0',
    '\u2028',
    '\ufeff',
  ],
  ...['\u4e2d', '\u0416', '\u03a3', '\u03c2', '\u{1f600}', '\ud83d', '\ude00', '\u0660', '\u0301'],
];

export const telling = fc
  .array(fc.constantFrom(...TELLING_CHARACTERS), { maxLength: 14 })
  .map((parts) => parts.join(''));

const literal = fc.constantFrom(
  'a',
  'b',
  'k',
  's',
  'S',
  'i',
  ' ',
  '-',
  '0',
  '\u4e2d',
  '\\.',
  '\\x{4b}',
  '\\n',
  '\\-',
  '/',
  '\\_',
);
const classEscape = fc.constantFrom('\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '.');
const assertion = fc.constantFrom('^', '$', '\\b', '\\B', '\\A', '\\z');
const member = fc.oneof(
  literal,
  fc.constantFrom(
    'a-z',
    'A-K',
    '0-9',
    '\\d',
    '\\W',
    '\\s',
    '\\x00-\\x7f',
    '\\x{80}-\\x{10ffff}',
    ' -~',
    '\\x{4e00}-\\x{4f00}',
    '^',
    '.',
    '$',
  ),
);
const characterClass = fc
  .tuple(fc.constantFrom('', '^'), fc.array(member, { minLength: 1, maxLength: 3 }))
  .map(([sign, members]) => `[${sign}${members.join('')}]`);
const quantifier = fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}', '{2,}', '{1,}?');
const group = fc.constantFrom('(', '(?:', '(?i:', '(?-i:', '(?s:', '(?P<n>', '(?<m>');

/** Patterns of RE2's syntax, most of which the native lane takes. */
export const randomPattern = fc.letrec<{ pattern: string; atom: string; part: string }>((tie) => ({
  atom: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    { arbitrary: literal, weight: 5 },
    { arbitrary: classEscape, weight: 4 },
    { arbitrary: characterClass, weight: 2 },
    { arbitrary: fc.tuple(group, tie('pattern')).map(([open, inside]) => `${open}${inside})`), weight: 3 },
  ),
  part: fc.oneof(
    { arbitrary: tie('atom'), weight: 4 },
    { arbitrary: fc.tuple(tie('atom'), quantifier).map(([atom, times]) => `${atom}${times}`), weight: 3 },
    { arbitrary: assertion, weight: 1 },
    { arbitrary: fc.constantFrom('(?i)', '(?-i)', '(?s)'), weight: 1 },
  ),
  pattern: fc
    .array(fc.array(tie('part'), { minLength: 0, maxLength: 4 }), { minLength: 1, maxLength: 3 })
    .map((branches) => branches.map((parts) => parts.join('')).join('|')),
})).pattern;
