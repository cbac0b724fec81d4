import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { describe, expect, test } from 'vitest';
import { CHANNEL_FIELDS, Column, Field, Flag, ROW } from '../../src/channels/entry-batch.ts';
import { EntryView } from '../../src/channels/entry-view.ts';
import { type ApplyOptions, applyChannels } from '../../src/plugins/apply-channels.ts';
import {
  ALL_CHANNEL_FIELDS,
  ChannelEncoder,
  channelRecordsBytes,
  encodeChannels,
  FIELD_ABSENT,
  FIELD_NOT_SENT,
} from '../../src/plugins/channel-records.ts';
import { PluginAnswerError } from '../../src/plugins/plugin-answer-error.ts';
import { batchOf, copyOf, type Fields, fieldsOf, makeRoom, oddChannels, stateOf } from './entry-batches.ts';

const encode = (batch: ReturnType<typeof batchOf>, fields = ALL_CHANNEL_FIELDS): Buffer =>
  encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch, fields)), fields);

const word = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, 4 * i);
  return bytes;
};
const framed = (record: Buffer): Buffer => Buffer.concat([word(record.length), record]);
const kept = (id: number): Buffer => framed(word(id));
const leftOut = (id: number, filter: number): Buffer => framed(word(id, filter));
/** A record with some fields; a text of undefined is absent, one that is not named stays as it was. */
const changedTo = (id: number, fields: Readonly<Record<number, string | undefined>>): Buffer => {
  const texts = CHANNEL_FIELDS.map((_, field) => (field in fields ? Buffer.from(fields[field] ?? '') : undefined));
  const lengths = texts.map((text, field) =>
    text === undefined ? FIELD_NOT_SENT : fields[field] === undefined ? FIELD_ABSENT : text.length,
  );
  return framed(Buffer.concat([word(id, ...lengths), ...texts.map((text) => text ?? Buffer.alloc(0))]));
};

const CHANNELS: readonly Fields[] = [
  ['BBC One HD', 'News', 'bbc1.uk', undefined, 'http://logo/1.png', '1', undefined, 'http://host/1'],
  ['Das Erste', undefined, 'ard.de', 'ARD', undefined, undefined, '', 'http://host/2'],
  ['dropped', 'x', undefined, undefined, undefined, undefined, undefined, 'http://host/3'],
  ['TF1', 'a "quoted" group', undefined, undefined, undefined, undefined, undefined, 'http://host/4'],
];
const sample = (): ReturnType<typeof batchOf> => batchOf(CHANNELS, { dropped: [2], room: 200 });

describe('channels to plugins and back', () => {
  test('what is sent is what the channel has, dropped ones left out, each record at a multiple of four', () => {
    fc.assert(
      fc.property(oddChannels, fc.nat(ALL_CHANNEL_FIELDS), (channels, fields) => {
        const batch = batchOf(channels, { dropped: channels.flatMap((_, row) => (row % 5 === 3 ? [row] : [])) });
        const wire = encode(batch, fields);
        const got: [number, Fields][] = [];
        for (let at = 0; at < wire.length; ) {
          const end = at + 4 + wire.readUInt32LE(at);
          let from = at + 40;
          const texts = CHANNEL_FIELDS.map((_, field) => {
            const length = wire.readUInt32LE(at + 8 + 4 * field);
            if (length === FIELD_NOT_SENT) return 'not sent';
            if (length === FIELD_ABSENT) return undefined;
            from += length;
            return wire.toString('utf8', from - length, from);
          });
          expect(end - from).toBeLessThan(4);
          expect(at % 4).toBe(0);
          got.push([wire.readUInt32LE(at + 4), texts]);
          at = end;
        }
        const expected = channels.flatMap((texts, row): [number, Fields][] =>
          row % 5 === 3
            ? []
            : [[row, CHANNEL_FIELDS.map((_, field) => ((fields >> field) & 1 ? texts[field] : 'not sent'))]],
        );
        expect(got).toEqual(expected);
      }),
    );
  });

  test('the very records sent, or their ids alone, change nothing', () => {
    fc.assert(
      fc.property(oddChannels, (channels) => {
        const batch = batchOf(channels);
        const before = stateOf(batch);
        expect(applyChannels(batch, encode(batch))).toBe(0);
        expect(applyChannels(batch, Buffer.concat(channels.map((_, row) => kept(row))))).toBe(0);
        expect(stateOf(batch)).toEqual(before);
      }),
    );
  });

  test('a changed field is as a rule would have set it', () => {
    const batch = sample();
    const ruled = copyOf(batch, 100);
    const answer = [
      changedTo(0, { [Field.name]: 'BBC One', [Field.tvgId]: 'BBC1', [Field.group]: 'News' }),
      changedTo(1, { [Field.group]: 'Allgemein', [Field.tvgName]: undefined }),
      kept(3),
    ];
    expect(applyChannels(batch, Buffer.concat(answer), { mayChange: true })).toBe(2);
    const view = new EntryView(makeRoom);
    view.moveTo(ruled, 0).set(Field.name, 'BBC One');
    view.set(Field.tvgId, 'BBC1');
    view.moveTo(ruled, 1).set(Field.group, 'Allgemein');
    view.set(Field.tvgName, '');
    expect(stateOf(batch)).toEqual(stateOf(ruled));
  });

  test('a filter says who is taken out, and by which of them', () => {
    const batch = sample();
    const told: number[][] = [];
    const options = { filterCount: 3, onLeftOut: (row: number, filter: number) => told.push([row, filter]) };
    expect(applyChannels(batch, Buffer.concat([leftOut(0, 2), leftOut(1, 0), leftOut(3, 1)]), options)).toBe(0);
    expect(told).toEqual([
      [0, 2],
      [1, 0],
      [3, 1],
    ]);
    expect(batch.live).toBe(0);
    expect(fieldsOf(batch)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('room for new values is asked for once, and nothing is changed when it is refused', () => {
    const batch = batchOf(CHANNELS, { dropped: [2] });
    const answer = Buffer.concat([changedTo(0, { 0: 'A much longer name' }), changedTo(1, { 1: 'B' }), kept(3)]);
    const before = stateOf(batch);
    const refuse = (): never => {
      throw new Error('no room');
    };
    expect(() => applyChannels(batch, answer, { mayChange: true, makeRoom: refuse })).toThrow('no room');
    expect(stateOf(batch)).toEqual(before);
    const asked: number[] = [];
    applyChannels(batch, answer, {
      mayChange: true,
      makeRoom: (each, bytes) => {
        asked.push(bytes);
        makeRoom(each, bytes);
      },
    });
    expect(asked).toEqual([19]);
    expect(fieldsOf(batch)[0]?.[0]).toBe('A much longer name');
    expect(() => applyChannels(batchOf(CHANNELS, { dropped: [2] }), answer, { mayChange: true })).toThrow(RangeError);
  });

  test('the encoder reserves before it grows, serves a buffer again, and copes with one that was handed over', () => {
    using governor = createGovernor({ limitBytes: 2 ** 30 });
    const memory = governor.consumer({ name: 'test', kind: 'external', maxBytes: 2 ** 20 });
    {
      using encoder = new ChannelEncoder(memory);
      const first = encoder.encode(sample());
      expect(memory.heldBytes).toBe(first.length);
      expect(encoder.encode(sample()).buffer).toBe(first.buffer);
      (first.buffer as ArrayBuffer).transfer();
      expect(encoder.encode(sample()).equals(encode(sample()))).toBe(true);
      expect(memory.heldBytes).toBe(encode(sample()).length);
    }
    expect(memory.heldBytes).toBe(0);
  });
});

describe('hole: an answer is believed before it has been looked through', () => {
  const MAPPING: ApplyOptions = { mayChange: true, makeRoom };
  const REST = Buffer.concat([kept(1), kept(3)]);
  const inFirst = (record: Buffer): Buffer => Buffer.concat([record, REST]);
  const halfACharacter = changedTo(0, { 1: 'ab' });
  halfACharacter[halfACharacter.length - 1] = 0xc3;
  const faults: readonly (readonly [string, Buffer, string, ApplyOptions])[] = [
    ['a channel is missing', Buffer.concat([kept(0), kept(1)]), 'channel 3 is missing', {}],
    ['nothing comes back', Buffer.alloc(0), 'channel 0 is missing', {}],
    ['an id twice', Buffer.concat([kept(0), kept(0), REST]), 'id 0 is none', {}],
    ['out of order', Buffer.concat([kept(1), kept(0), kept(3)]), 'channel 0 is missing', {}],
    ['an id that was dropped before', Buffer.concat([kept(0), kept(1), kept(2), kept(3)]), 'id 2 is none', {}],
    ['an id that never was', Buffer.concat([kept(0), REST, kept(4)]), 'id 4 is none', {}],
    ['the number of channels as an id', Buffer.concat([kept(0), kept(4)]), 'id 4 is none', { filterCount: 1 }],
    ['the largest id', Buffer.concat([kept(0), kept(0xffff_ffff)]), 'id 4294967295 is none', { filterCount: 1 }],
    ['left out by a mapper', Buffer.concat([kept(0), leftOut(1, 0), kept(3)]), 'filter 0 takes', MAPPING],
    ['lost by a filter whose answer was cut', kept(0), 'channel 1 is missing', { filterCount: 3 }],
    ['left out by a filter that there is not', leftOut(0, 3), 'filter 3 takes', { filterCount: 3 }],
    ['a filter changes a field', changedTo(0, { 0: 'x' }), 'only chooses', { filterCount: 1 }],
    ['a field that was not shown', inFirst(changedTo(0, { 0: 'x' })), 'not shown', { ...MAPPING, fields: 2 }],
    ['the end inside a length', Buffer.concat([kept(0), REST, Buffer.from([4, 0])]), 'ends inside', {}],
    ['the end inside a record', Buffer.concat([kept(0), kept(1), word(4)]), 'ends inside', {}],
    ['a length beyond the end', Buffer.concat([kept(0), word(0xffff_ffff, 1)]), '4294967295 bytes where 4', {}],
    ['an empty record', Buffer.concat([word(0), kept(0), REST]), 'a record of 0 bytes', {}],
    ['a record of six bytes', inFirst(framed(Buffer.alloc(6))), 'a record of 6 bytes', {}],
    ['a record of 35 bytes', inFirst(framed(Buffer.alloc(35))), 'a record of 35 bytes', {}],
    ['a field beyond its record', inFirst(framed(word(0, 9, 0, 0, 0, 0, 0, 0, 0))), 'channel_name of 9 bytes', MAPPING],
    [
      'fields that are longer together',
      inFirst(framed(Buffer.concat([word(0, 3, 3, 0, 0, 0, 0, 0, 0), Buffer.from('BBC')]))),
      'group_title of 3 bytes where 0',
      MAPPING,
    ],
    [
      'bytes behind the fields',
      inFirst(framed(Buffer.concat([word(0, ...CHANNEL_FIELDS.map(() => FIELD_NOT_SENT)), Buffer.alloc(4)]))),
      '4 bytes behind',
      MAPPING,
    ],
    ['a line feed in a name', inFirst(changedTo(0, { 0: 'a\nhttp://evil' })), 'control character', MAPPING],
    ['a carriage return in a URL', inFirst(changedTo(0, { 7: 'http://a\r' })), 'control character', MAPPING],
    ['a zero in a group', inFirst(changedTo(0, { 1: 'a\0b' })), 'control character', MAPPING],
    ['DEL in a group', inFirst(changedTo(0, { 1: 'a\x7fb' })), 'control character', MAPPING],
    ['a quotation mark in an attribute', inFirst(changedTo(0, { 1: 'a" tvg-id="b' })), 'quotation mark', MAPPING],
    ['a blank name', inFirst(changedTo(0, { 0: '  ' })), 'channel_name is made blank', MAPPING],
    ['a blank URL', inFirst(changedTo(0, { 7: undefined })), 'stream_url is made blank', MAPPING],
    ['a value that is too long', inFirst(changedTo(0, { 1: 'x'.repeat(65_537) })), '65537 bytes', MAPPING],
    ['half a character', inFirst(halfACharacter), 'no UTF-8', MAPPING],
  ];

  test.each(faults)('%s', (_, answer, message, options) => {
    const batch = sample();
    const before = stateOf(batch);
    expect(() => applyChannels(batch, answer, options)).toThrow(PluginAnswerError);
    expect(() => applyChannels(batch, answer, options)).toThrow(message);
    expect(stateOf(batch)).toEqual(before);
  });

  test('a change before the fault is not made either', () => {
    const batch = sample();
    const before = stateOf(batch);
    const answer = Buffer.concat([changedTo(0, { 0: 'new' }), changedTo(1, { 1: 'new\n' }), kept(3)]);
    expect(() => applyChannels(batch, answer, MAPPING)).toThrow('group_title has a control character in it');
    expect(stateOf(batch)).toEqual(before);
  });

  test('a quotation mark may stay where there was one, and stand in a name', () => {
    const batch = sample();
    applyChannels(batch, Buffer.concat([changedTo(0, { 0: 'a "b"' }), kept(1), changedTo(3, { 1: 'a "b"' })]), MAPPING);
    expect([fieldsOf(batch)[0]?.[0], fieldsOf(batch)[3]?.[1]]).toEqual(['a "b"', 'a "b"']);
  });

  test('whatever comes back, it is refused with the batch untouched, or the batch is sound', () => {
    const forged = fc.array(
      fc.oneof(
        fc.constantFrom(0, 1, 2, 3, 4, 8, 36, 40, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff).map((value) => word(value)),
        fc.nat(5).map(kept),
        fc.tuple(fc.nat(5), fc.nat(4)).map(([id, filter]) => leftOut(id, filter)),
        fc
          .tuple(fc.nat(5), fc.nat(7), fc.string({ unit: 'binary', maxLength: 5 }))
          .map(([id, field, text]) => changedTo(id, { [field]: text })),
        fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 7 },
    );
    const answerTo = (id: number) =>
      fc.oneof(
        fc.constant(kept(id)),
        fc.nat(2).map((filter) => leftOut(id, filter)),
        fc.tuple(fc.nat(7), fc.string({ maxLength: 5 })).map(([field, text]) => changedTo(id, { [field]: text })),
      );
    // Of each that is there something: all else is refused at once.
    const whole = fc.tuple(answerTo(0), answerTo(1), answerTo(3));
    let applied = 0;
    fc.assert(
      fc.property(fc.oneof(forged, whole), fc.boolean(), fc.nat(2), (parts, mayChange, filterCount) => {
        const batch = sample();
        const before = stateOf(batch);
        try {
          applyChannels(batch, Buffer.concat(parts), { mayChange, filterCount, makeRoom });
          applied++;
        } catch (error) {
          expect(error).toBeInstanceOf(PluginAnswerError);
          expect(stateOf(batch)).toEqual(before);
        }
        const live = fieldsOf(batch).filter((fields) => fields !== undefined);
        expect(live.length).toBe(batch.live);
        for (const fields of live) for (const text of fields) expect(text ?? '').not.toMatch(/[\x00-\x1f\x7f]/);
        expect(batch.used).toBeLessThanOrEqual(batch.bytes.length);
        expect((batch.table[2 * ROW + Column.flags]! & Flag.dropped) !== 0).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    expect(applied).toBeGreaterThan(20);
  });
});
