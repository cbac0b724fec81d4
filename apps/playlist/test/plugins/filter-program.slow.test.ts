import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EntryBatch } from '../../src/channels/entry-batch.ts';
import { CHANNEL_FIELDS } from '../../src/channels/entry-batch.ts';
import type { FilterConfig } from '../../src/config/config.ts';
import { applyChannels } from '../../src/plugins/apply-channels.ts';
import { channelRecordsBytes, encodeChannels } from '../../src/plugins/channel-records.ts';
import { compileFilterProgram, isCaseless, MAX_PROGRAM_BYTES } from '../../src/plugins/filter-program.ts';
import { FIRST_PROGRAMME_FIELD, RULE_FIELDS } from '../../src/rules/field-access.ts';
import { printCondition } from '../../src/rules/print-rule.ts';
import { compileRuleSet } from '../../src/rules/rule-set.ts';
import type { Comparison } from '../../src/rules/syntax-tree.ts';
import { filterChannels } from '../../src/stages/filter-channels.ts';
import { conditionOf } from '../rules/random-rule.ts';
import { DirectGuest, isBuilt } from './direct-guest.ts';
import { batchOf, copyOf, type Fields, nameText, REAL_LISTS, realBatches } from './entry-batches.ts';

const HAS_C = isBuilt('filter-stream-c');
if (!HAS_C) console.warn('skipped: the filter in C, because there is no clang and wasm-ld for wasm32');
if (!REAL_LISTS) console.warn('skipped: real playlists, because ../shared/data is absent');
const GUESTS = HAS_C ? ['filter-stream', 'filter-stream-c'] : ['filter-stream'];

const filtersOf = (...expressions: readonly string[]): FilterConfig[] =>
  expressions.map((expression, i) => ({
    label: `filter ${i + 1}`,
    mode: i % 2 === 0 ? 'include' : 'exclude',
    expression,
  }));

/** Natively: the batch filtered, and how many each filter took. */
async function natively(batch: EntryBatch, filters: readonly FilterConfig[]): Promise<number[]> {
  const { filters: tallies } = compileRuleSet([], filters);
  const stage = filterChannels(tallies);
  async function* one(): AsyncGenerator<EntryBatch> {
    yield batch;
  }
  for await (const _ of stage.run(one(), undefined as never)) void _;
  return tallies.map(({ removed }) => removed);
}

/** By a plugin, as the playlist does it. */
function byGuest(batch: EntryBatch, filters: readonly FilterConfig[], guest: string): number[] {
  const program = compileFilterProgram(filters)!;
  const { filterCount, fields } = program;
  const plugin = new DirectGuest(guest, { config: program.bytes });
  expect(plugin.started).toBe(0);
  const output = plugin.process(encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch, fields)), fields));
  const removed = filters.map(() => 0);
  applyChannels(batch, output, {
    filterCount,
    fields,
    onLeftOut: (_, filter) => {
      removed[filter]!++;
    },
  });
  return removed;
}

const asBytes = ({ table }: EntryBatch): Buffer => Buffer.from(table.buffer);

async function expectSame(batch: EntryBatch, filters: readonly FilterConfig[]): Promise<void> {
  const native = copyOf(batch);
  const removed = await natively(native, filters);
  for (const guest of GUESTS) {
    const filtered = copyOf(batch);
    expect(byGuest(filtered, filters, guest), guest).toEqual(removed);
    expect(filtered.live, guest).toBe(native.live);
    expect(Buffer.compare(asBytes(filtered), asBytes(native)), guest).toBe(0);
  }
}

const value = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'k',
    'i',
    'K',
    'I',
    'hd',
    'BBC',
    'ki',
    'ik',
    'kk',
    'news',
    '日本',
    '🎬',
    'ss',
    '12',
    'K',
    'İ',
    'é',
    'Σ',
    '\ufffd',
  ),
  nameText,
);
const text = fc.oneof(
  fc.constantFrom(
    '',
    'k',
    'K',
    'K',
    'İ',
    'i',
    'xK',
    'Kx',
    'xİ',
    'İx',
    'kİ',
    'KKK',
    'BBC ONE hd',
    'NEWS',
    'İ\u0307',
    'i\u0307',
    'ſs',
    'ß',
    '日本K',
    '\ufffd',
  ),
  nameText,
  fc.constantFrom(
    '12',
    ' 12 ',
    '\u00a012\u00a0',
    '-1.5',
    '+3',
    '.5',
    '5.',
    '1e3',
    '0x1',
    '--1',
    '1.2.3',
    '9'.repeat(400),
    '-',
    '+',
    '.',
    '\u00a0',
    '12 HD',
    '\v7\f',
  ),
);
const leaf: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record({
    kind: fc.constant('compare' as const),
    field: fc.nat(2),
    operator: fc.constantFrom('contains' as const, 'equals' as const, 'starts_with' as const, 'ends_with' as const),
    negated: fc.boolean(),
    caseSensitive: fc.boolean(),
    value,
    at: fc.constant(0),
  }),
  fc.record({
    kind: fc.constant('compare' as const),
    field: fc.nat(2),
    operator: fc.constantFrom('>' as const, '>=' as const, '<' as const, '<=' as const),
    negated: fc.boolean(),
    caseSensitive: fc.constant(false),
    value: fc.constantFrom('0', '12', '-1.5', '3', '0.5', '5', '1000'),
    at: fc.constant(0),
  }),
);
const condition = conditionOf(leaf);
const channels = fc.array(
  fc.tuple(
    fc.option(text, { nil: undefined }),
    fc.option(text, { nil: undefined }),
    fc.option(text, { nil: undefined }),
  ) as fc.Arbitrary<Fields>,
  { minLength: 1, maxLength: 12 },
);

describe('filters as a program', () => {
  test('what has no case by itself stands in no text in lower case for something else: all of Unicode', () => {
    const faults: string[] = [];
    for (let code = 0x80; code <= 0x10ffff; code++) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const character = String.fromCodePoint(code);
      if (character.toLowerCase() === character) continue;
      for (const lower of character.toLowerCase()) {
        if (lower !== character && lower > '\x7f' && isCaseless(lower))
          faults.push(`${code.toString(16)} makes ${lower}`);
      }
      // What becomes ASCII is known to the plugins.
      if (/[\0-\x7f]/.test(character.toLowerCase()) && code !== 0x212a && code !== 0x130)
        faults.push(code.toString(16));
    }
    expect(faults).toEqual([]);
  });

  test('a plugin takes out the channels that the native stage takes out, for the same filters', async () => {
    let compiled = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(condition, { minLength: 1, maxLength: 3 }), channels, async (conditions, fields) => {
        const filters = filtersOf(...conditions.map(printCondition));
        if (compileFilterProgram(filters) === undefined) return;
        compiled++;
        await expectSame(batchOf(fields), filters);
      }),
      { numRuns: 600 },
    );
    expect(compiled).toBeGreaterThan(100);
  });

  test.each(['contains', 'equals', 'starts_with', 'ends_with'])(
    'the Kelvin sign and the dotted I: %s',
    async (operator) => {
      const texts = [
        'K',
        'İ',
        'k',
        'i',
        'aK',
        'Kb',
        'aİ',
        'İb',
        'aKb',
        'aİb',
        'KİK',
        'İİ',
        'i\u0307',
        'kk',
        'ii',
        '',
        'İK',
      ];
      for (const asked of ['k', 'i', 'ak', 'kb', 'ai', 'ib', 'kik', 'ii', 'kk', 'ik', 'ki']) {
        for (const spelled of [asked, asked.toUpperCase()])
          await expectSame(batchOf(texts.map((each) => [each])), filtersOf(`channel_name ${operator} "${spelled}"`));
      }
    },
  );

  test('long fields, and what is found at any place of them', async () => {
    const fields = Array.from({ length: 130 }, (_, at) => [`${'.'.repeat(at)}Needle${'.'.repeat(130 - at)}`]);
    await expectSame(
      batchOf([...fields, ['n'.repeat(3000)], [`${'N'.repeat(3000)}eedle`]]),
      filtersOf('channel_name contains "NEEDLE"'),
    );
  });

  test.each([
    ['matches', 'channel_name matches "a"'],
    ['a field of the source', 'source_name equals "a"'],
    ['a letter beyond ASCII, ignoring case', 'channel_name contains "É"'],
    ['the sign for damaged bytes', 'channel_name case_sensitive contains "\ufffd"'],
    ['half of a pair', 'channel_name case_sensitive contains "\ud83c"'],
    ['the dot that is left of a dotted I', 'channel_name contains "\u0307"'],
    ['too much', `channel_name contains "${'日'.repeat(Math.ceil(MAX_PROGRAM_BYTES / 3))}"`],
  ])('hole: a filter that a plugin cannot follow exactly is handed to one: %s', (_, expression) => {
    expect(compileFilterProgram(filtersOf(expression))).toBeUndefined();
    expect(compileFilterProgram(filtersOf('channel_name equals "a"', expression))).toBeUndefined();
  });

  test('filters on programmes are not in it, and without any other there is no program', () => {
    const programme = `${RULE_FIELDS[FIRST_PROGRAMME_FIELD]} contains "a"`;
    expect(compileFilterProgram(filtersOf(programme))).toBeUndefined();
    expect(compileFilterProgram([])).toBeUndefined();
    const both = compileFilterProgram(
      filtersOf('tvg_chno > 5', programme, 'channel_name contains "É" AND tvg_id equals ""'),
    );
    expect(both).toBeUndefined();
    expect(compileFilterProgram(filtersOf('tvg_chno > 5', programme))).toMatchObject({
      filterCount: 1,
      fields: 1 << CHANNEL_FIELDS.indexOf('tvg_chno'),
    });
  });

  test.each(GUESTS)('%s: whatever program it is given, it follows it or says that it is not for it', (guest) => {
    const program = compileFilterProgram(
      filtersOf('channel_name contains "a" OR tvg_chno > 5', 'NOT tvg_id equals "x"'),
    )!.bytes;
    const batch = batchOf([['BBC', 'News', 'x', undefined, undefined, '7']]);
    const wire = encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch)));
    let followed = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(program.length - 1), fc.nat(255)), { maxLength: 3 }),
        fc.nat(program.length),
        (changes, length) => {
          const forged = Buffer.from(program.subarray(0, changes.length === 0 ? length : program.length));
          for (const [at, byte] of changes) if (at < forged.length) forged[at] = byte;
          const plugin = new DirectGuest(guest, { config: forged });
          if (plugin.started !== 0) return void expect(plugin.started).toBe(1);
          followed++;
          expect([4, 8]).toContain(plugin.process(wire).readUInt32LE(0));
        },
      ),
      { numRuns: 1_000 },
    );
    expect(followed).toBeGreaterThan(0);
  });

  test.each(GUESTS)('hole: %s reads beyond a record whose lengths are forged', (guest) => {
    const plugin = new DirectGuest(guest, {
      config: compileFilterProgram(filtersOf('stream_url contains "a"'))!.bytes,
    });
    const batch = batchOf([['BBC', 'News', 'x']]);
    const wire = encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch)));
    for (const [at, forged] of [
      [8, 0x7fff_ffff],
      [36, 200],
      [0, 4],
      [0, 0xffff_ffff],
    ] as const) {
      const damaged = Buffer.from(wire);
      damaged.writeUInt32LE(forged, at);
      expect(() => plugin.process(damaged)).toThrow(/a record|a batch/);
    }
    expect(plugin.process(wire).length).toBe(12);
  });

  test.skipIf(!REAL_LISTS)('real lists are filtered the same', async () => {
    const filters = filtersOf(
      'channel_name contains "tv" OR group_title contains "news" OR (tvg_chno > 100 AND NOT tvg_id ends_with ".uk")',
      'stream_url starts_with "https" AND channel_name case_sensitive contains "HD"',
      'NOT (channel_name equals "" OR group_title equals "undefined")',
    );
    let count = 0;
    for (const batch of realBatches()) {
      count += batch.count;
      await expectSame(batch, filters);
    }
    expect(count).toBeGreaterThan(15_000);
  });
});
