import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/governor/byte-writer.ts';
import { JsonWriter } from '../../src/governor/json-writer.ts';

function writer(size = 4_096) {
  const buffer = Buffer.alloc(size, 0xee);
  const json = new JsonWriter(buffer);
  return { buffer, json, text: () => buffer.toString('utf8', 0, json.length) };
}

type Value = null | boolean | number | string | Value[] | { [key: string]: Value };

/** Writes any JSON; containers two levels down are sections of `sectionBytes`. */
function writeValue(json: JsonWriter, value: Value, sectionBytes: number | undefined, depth = 0): void {
  const bound = depth === 1 ? sectionBytes : undefined;
  if (value === null) json.number(Number.NaN);
  else if (typeof value === 'boolean') json.boolean(value);
  else if (typeof value === 'number') json.number(value, 4);
  else if (typeof value === 'string') json.string(value);
  else if (Array.isArray(value)) {
    json.array(bound);
    for (const item of value) writeValue(json, item, sectionBytes, depth + 1);
    json.end();
  } else {
    json.object(bound);
    for (const [key, item] of Object.entries(value)) {
      json.key(key);
      writeValue(json, item, sectionBytes, depth + 1);
    }
    json.end();
  }
}

const { tree } = fc.letrec<{ tree: Value; object: { [key: string]: Value } }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer({ min: -1e9, max: 1e9 }).map((whole) => whole / 10_000),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.array(tie('tree'), { maxLength: 6 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.stringMatching(/^[a-zA-Z]{1,10}$/), tie('tree'), { maxKeys: 6, noNullPrototype: true }),
}));
const root = fc.dictionary(fc.stringMatching(/^[a-zA-Z]{1,10}$/), tree, { maxKeys: 8, noNullPrototype: true });

describe('JSON into a buffer', () => {
  it('is what JSON.stringify makes, when there is room', () => {
    fc.assert(
      fc.property(root, (value) => {
        const { json, text } = writer(65_536);
        writeValue(json, value, undefined);
        expect(json.truncated).toBe(false);
        expect(JSON.parse(text())).toEqual(JSON.parse(JSON.stringify(value, (_, v) => (v === 0 ? 0 : v))));
      }),
    );
  });

  it('is sound and within the buffer, however small that is and whatever the sections', () => {
    let cut = 0;
    const size = fc.integer({ min: 64, max: 700 });
    const section = fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined });
    fc.assert(
      fc.property(root, size, section, (value, bytes, sectionBytes) => {
        const whole = Buffer.alloc(bytes + 100, 0xee);
        const json = new JsonWriter(whole.subarray(0, bytes));
        writeValue(json, value, sectionBytes);
        expect(json.length).toBeLessThanOrEqual(bytes);
        expect(whole.subarray(bytes).every((byte) => byte === 0xee)).toBe(true);
        const parsed = JSON.parse(whole.toString('utf8', 0, json.length)) as { truncated?: unknown };
        if (json.truncated) {
          cut++;
          expect(parsed.truncated).toBe(true);
        } else expect(parsed).toEqual(JSON.parse(JSON.stringify(value, (_, v) => (v === 0 ? 0 : v))));
      }),
      { numRuns: 2_000 },
    );
    expect(cut).toBeGreaterThan(100);
  });

  it('leaves out whole rows, and goes on after the section', () => {
    const { json, text } = writer();
    json.object().key('rows').array(60);
    for (let i = 0; i < 10; i++) json.object().key('number').number(i).key('of').array().number(10).end().end();
    json.end().key('after').string('still there').finish();
    const parsed = JSON.parse(text());
    expect(parsed).toMatchObject({ after: 'still there', truncated: true });
    expect(parsed.rows).toEqual([{ number: 0, of: [10] }]);
  });

  it('begins anew in the same buffer', () => {
    const { json, text } = writer(64);
    json.object().key('a').string('x'.repeat(100)).finish();
    expect(JSON.parse(text())).toEqual({ truncated: true });
    json.reset().object().key('a').number(1).finish();
    expect([text(), json.truncated]).toEqual(['{"a":1}', false]);
  });

  it('ends what is open, however deep', () => {
    const { json, text } = writer();
    json.object().key('deep');
    for (let i = 0; i < 40; i++) json.array();
    json.finish();
    expect(JSON.parse(text())).toHaveProperty('truncated', true);
  });

  it('cuts long texts and does not look at endless ones', () => {
    const { json, text } = writer();
    json.array().string('a'.repeat(600)).string('b'.repeat(70_000)).string('cut in\ud83d\ude00', 7).finish();
    const [first, second, third] = JSON.parse(text());
    expect([first.length, first.at(-1), second, third]).toEqual([
      515,
      '.',
      'a text of 70000 characters',
      'cut in\ud83d...',
    ]);
  });

  it('has null for what is no number', () => {
    const { json, text } = writer();
    json.array().number(Number.NaN).number(Number.POSITIVE_INFINITY).number(-0).number(1e300).number(-12.5, 1).finish();
    expect(text()).toBe('[null,null,0,1e+300,-12.5]');
  });

  it('wants a buffer worth the name', () => {
    expect(() => new JsonWriter(Buffer.alloc(63))).toThrow('Expected `buffer` to be of at least 64 bytes, got `63`');
  });
});

describe('numbers and times into bytes', () => {
  const text = (write: (out: ByteWriter) => void) => {
    const bytes = Buffer.alloc(100);
    const out = new ByteWriter(bytes);
    write(out);
    return bytes.toString('latin1', 0, out.at);
  };

  it('are as String and toFixed have them', () => {
    const fraction = fc.integer({ min: -1_999_999_999, max: 1_999_999_999 }).map((part) => part / 10_000);
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 4 }), fraction, (whole, places, value) => {
        expect(text((out) => out.number(whole, places))).toBe(String(whole));
        const shown = text((out) => out.number(value, places));
        expect(Math.abs(Number(shown) - value)).toBeLessThanOrEqual(0.5000001 * 10 ** -places);
        expect(shown).toMatch(/^-?\d+(\.\d{1,4})?$/);
      }),
    );
    expect(text((out) => out.number(2_000_000_000.5, 1))).toBe('2000000000');
    expect(text((out) => out.number(-0.00001, 4))).toBe('0');
  });

  it('show UTC as toISOString does, to the second', () => {
    const wall = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) });
    fc.assert(
      fc.property(wall, (ms) => {
        expect(text((out) => out.utcTime(ms))).toBe(new Date(ms).toISOString().replace(/\.\d+Z/, 'Z'));
      }),
      { examples: [[Date.UTC(2000, 1, 29, 23, 59, 59)], [Date.UTC(2100, 2, 1)], [0]] },
    );
  });

  it('past the end are dropped and counted', () => {
    const bytes = Buffer.alloc(4);
    const out = new ByteWriter(bytes).number(123456);
    expect([out.overrun, out.at, bytes.toString('latin1')]).toEqual([true, 6, '1234']);
  });
});
