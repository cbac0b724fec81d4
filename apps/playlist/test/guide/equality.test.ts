import fc from 'fast-check';
import { expect, test } from 'vitest';
import { generateGuide } from './generate-guide.ts';
import { naiveGuide } from './naive-guide.ts';
import type { PlaylistChannel } from './wanted-fixture.ts';

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const name = fc.constantFrom('alpha', 'beta', 'gamma', 'delta');
const space = fc.constantFrom('', '\n', '\n  ', '\r\n\t');

const playlistChannel: fc.Arbitrary<PlaylistChannel> = fc.record(
  { id, original: id, name, tvgName: name },
  { requiredKeys: [] },
);

const channel = fc
  .tuple(space, id, fc.array(name, { maxLength: 2 }))
  .map(
    ([lead, of, names]) =>
      `${lead}<channel id="${of}">${names.map((each) => `<display-name>${each}</display-name>`).join('')}</channel>`,
  );

const time = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom('', ' +0000', ' +0100', ' -0330'))
  .map(([hour, zone]) => `2021010112${String(hour * 10).padStart(2, '0')}00${zone}`);

const programme = fc
  .tuple(
    space,
    id,
    time,
    fc.constantFrom('', 'stop="20210101130000 +0000" ', 'stop="late" '),
    fc.constantFrom('', 'x', 'y'),
  )
  .map(([lead, of, start, stop, title]) =>
    title === ''
      ? `${lead}<programme start="${start}" ${stop}channel="${of}"/>`
      : `${lead}<programme start="${start}" ${stop}channel="${of}"><title>${title}</title></programme>`,
  );

const guide = fc
  .tuple(
    fc.array(channel, { maxLength: 5 }),
    fc.array(programme, { maxLength: 12 }),
    fc.array(fc.oneof(channel, programme), { maxLength: 3 }),
  )
  .map((parts) => `<?xml version="1.0"?>\n<tv>${parts.flat().join('')}\n</tv>\n`);

test('the guide is the one that a naive program makes from whole files', async () => {
  let odd = 0;
  let unordered = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(playlistChannel, { maxLength: 5 }),
      fc.array(guide, { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 3 }),
      async (playlist, guides, pieces) => {
        const expected = naiveGuide(playlist, guides);
        const actual = await generateGuide(playlist, guides, { pieces, bufferBytes: 256 });
        expect(actual.body).toBe(expected);
        expect(actual.damage).toEqual([]);
        expect(actual.programmes).toBe(expected.split('<programme').length - 1);
        expect(actual.channels).toBe(expected.split('<channel').length - 1);
        if (actual.passes > 1) odd++;
        if (actual.guides.some((each) => each.unordered)) unordered++;
      },
    ),
    { numRuns: 2000 },
  );
  expect(odd).toBeGreaterThan(100);
  expect(unordered).toBeGreaterThan(100);
});
