import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { jsonObjects, NotJsonError } from '../../src/sources/json-objects.ts';

function sourceOf(text: string, size: number): ByteSource {
  let rest = Buffer.from(text);
  return {
    label: 'text',
    sizeBytes: undefined,
    async read(target, offset, length) {
      const count = rest.copy(target, offset, 0, Math.min(size, length));
      rest = rest.subarray(count);
      return count;
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function collect(text: string, size = 7, maxObjectBytes = 1000) {
  const objects: unknown[] = [];
  let bad = 0;
  for await (const object of jsonObjects(sourceOf(text, size), { maxObjectBytes, onBad: () => bad++ }))
    objects.push(object);
  return { objects, bad };
}

describe('jsonObjects', () => {
  it('gives what JSON.parse gives, for any objects, layout and chunks', async () => {
    const object = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 2 }));
    await fc.assert(
      fc.asyncProperty(fc.array(object), fc.nat(3), fc.integer({ min: 1, max: 50 }), async (objects, indent, size) => {
        const text = JSON.stringify(objects, null, indent);
        const { objects: found, bad } = await collect(text, size, 100_000);
        expect(found).toEqual(JSON.parse(text));
        expect(bad).toBe(0);
      }),
    );
  });

  it('takes the values of an object, and passes over what is no object', async () => {
    expect(await collect('{"1":{"a":1},"x":[{"b":2}],"y":3,"2":{"c":"}"}}')).toEqual({
      objects: [{ a: 1 }, { c: '}' }],
      bad: 0,
    });
    expect(await collect('\ufeff [1, "{", {"a": "\\"}{"}, null]')).toEqual({ objects: [{ a: '"}{' }], bad: 0 });
    expect(await collect('[]')).toEqual({ objects: [], bad: 0 });
  });

  it('passes over objects that are too large or unsound, and goes on', async () => {
    expect(await collect(`[{"a":"${'x'.repeat(2000)}"},{"b":1},{c},{"d":4}]`)).toEqual({
      objects: [{ b: 1 }, { d: 4 }],
      bad: 2,
    });
  });

  it.each(['', '<html>', 'null', '"text"', '[{"a":1}', '[{"a":1},{"b"'])(
    'says that %j is not whole JSON',
    async (text) => {
      await expect(collect(text)).rejects.toThrow(NotJsonError);
    },
  );
});
