import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { GuideDamagedError } from '../../src/guide/guide-damage.ts';
import { indexGuides } from '../../src/guide/index-guides.ts';
import { writeGuide } from '../../src/guide/write-guide.ts';
import { SourceError, type SourceFault } from '../../src/sources/source-error.ts';
import { countingConsumer } from './counting-consumer.ts';
import { FOOT, generateGuide, HEAD } from './generate-guide.ts';
import { memorySource } from './memory-source.ts';
import { wantAll } from './wanted-fixture.ts';

const tv = (body: string): string =>
  `<?xml version="1.0"?>\n<!DOCTYPE tv SYSTEM "xmltv.dtd">\n<tv source="x">${body}</tv>\n`;
const channel = (id: string, name = id): string =>
  `\n  <channel id="${id}"><display-name>${name}</display-name></channel>`;
const programme = (id: string, start: number, title = `t${start}`): string =>
  `\n  <programme start="202101${String(start).padStart(2, '0')}000000 +0000" stop="x" channel="${id}"><title>${title}</title></programme>`;

test('keeps what the playlist has, byte for byte, channels first', async () => {
  const first = tv(channel('a') + channel('x') + programme('a', 1) + programme('x', 1) + programme('a', 2));
  const second = tv(channel('b') + channel('a') + programme('b', 1) + programme('a', 3));
  const out = await generateGuide([{ id: 'a' }, { id: 'b' }], [first, second]);
  expect(out.text).toBe(
    HEAD + channel('a') + channel('b') + programme('a', 1) + programme('a', 2) + programme('b', 1) + FOOT,
  );
  expect(out.passes).toBe(1);
  expect(out.heldBytes).toBe(0);
  expect(out.guides[0]).toMatchObject({
    channelsIn: 2,
    channelsKept: 1,
    programmesIn: 3,
    programmesKept: 2,
    unordered: false,
  });
  expect(out.guides[1]).toMatchObject({ channelsIn: 2, channelsKept: 1, programmesIn: 2, programmesKept: 1 });
});

test('a channel that the first guide only names takes its programmes from the next one', async () => {
  const out = await generateGuide([{ id: 'a' }], [tv(channel('a')), tv(channel('a', 'A2') + programme('a', 1))]);
  expect(out.body).toBe(channel('a') + programme('a', 1));
});

test('an id that a rule changed is rewritten, escaped, in channel and programmes; both ids are served when both are wanted', async () => {
  const guide = tv(channel('old') + programme('old', 1) + programme('old', 2));
  const one = await generateGuide([{ id: 'a"&<b', original: 'old' }], [guide]);
  expect(one.body).toBe(
    (channel('old') + programme('old', 1) + programme('old', 2)).replaceAll('"old"', '"a&quot;&amp;&lt;b"'),
  );
  const both = await generateGuide([{ id: 'new', original: 'old' }, { id: 'old' }], [guide]);
  expect(both.body).toBe(
    channel('old') +
      channel('old').replace('"old"', '"new"') +
      [1, 2].map((start) => programme('old', start) + programme('old', start).replace('"old"', '"new"')).join(''),
  );
  expect(both.programmes).toBe(4);
});

test('entities in ids are understood and kept', async () => {
  const out = await generateGuide(
    [{ id: 'A&E.us' }],
    [tv(channel('A&amp;E.us') + programme('A&#38;E.us', 1) + programme('A&#x26;E.us', 2))],
  );
  expect(out.body).toBe(channel('A&amp;E.us') + programme('A&#38;E.us', 1) + programme('A&#x26;E.us', 2));
});

test('by name the guide stays as it is, and only what was asked for is written', async () => {
  const guide = tv(channel('g1', 'BBC One') + channel('g2', 'BBC Two') + programme('g1', 1) + programme('g2', 1));
  const out = await generateGuide(
    [{ name: 'UK: BBC One HD' }, { id: 'z', name: 'BBC Two' }],
    [guide, tv(channel('z') + programme('z', 1))],
  );
  expect(out.body).toBe(channel('g1', 'BBC One') + channel('z') + programme('g1', 1) + programme('z', 1));
});

test('each programme once: repeats, disorder, other offsets, equal starts', async () => {
  const later = programme('a', 1, 'one').replace('20210101000000 +0000', '20210101010000 +0100');
  const noTime = '<programme start="soon" channel="a"><title>S</title></programme>';
  const body = [
    programme('a', 1, 'one'),
    programme('a', 2, 'two'),
    programme('b', 1, 'one'),
    later,
    programme('a', 2, 'other'),
    noTime,
    programme('a', 2, 'two'),
    programme('b', 1, 'one'),
    programme('a', 3),
    noTime,
    noTime.replace('S<', 'T<'),
  ];
  const out = await generateGuide([{ id: 'a' }, { id: 'b' }], [tv(channel('a') + body.join(''))], { full: true });
  expect(out.body).toBe(channel('a') + [0, 1, 2, 4, 5, 8, 10].map((i) => body[i]).join(''));
  expect(out.guides[0]).toMatchObject({
    unordered: true,
    duplicates: 4,
    programmesKept: 7,
    programmesIn: 11,
    channelsIn: 1,
  });
  expect(out.heldBytes).toBe(0);
});

test.each([
  ['an id without a channel element', tv(channel('x') + programme('a', 1)), [{ id: 'a' }], programme('a', 1)],
  [
    'a channel behind programmes',
    tv(channel('x') + programme('x', 1) + channel('a') + programme('a', 1)),
    [{ id: 'a' }],
    channel('a') + programme('a', 1),
  ],
  [
    'a name behind programmes',
    tv(channel('x') + programme('x', 1) + channel('g', 'A') + programme('g', 1)),
    [{ name: 'A' }],
    channel('g', 'A') + programme('g', 1),
  ],
  [
    'an undeclared id that takes the place of a rewritten one',
    tv(channel('old') + programme('old', 1) + programme('new', 2)),
    [{ id: 'new', original: 'old' }],
    programme('new', 2),
  ],
])('odd guides are indexed whole: %s', async (_, guide, playlist, body) => {
  const out = await generateGuide(playlist, [guide]);
  expect(out.body).toBe(body);
  expect(out.passes).toBe(2);
  expect((await generateGuide(playlist, [guide], { full: true })).body).toBe(body);
});

test('a guide without channel elements in front needs no second index', async () => {
  const out = await generateGuide([{ id: 'a' }], [tv(programme('a', 1) + channel('a') + programme('a', 2))]);
  expect(out.body).toBe(channel('a') + programme('a', 1) + programme('a', 2));
  expect(out.passes).toBe(1);
});

test('foreign channels behind the programmes change nothing', async () => {
  const out = await generateGuide(
    [{ id: 'a', name: 'A' }],
    [tv(channel('a') + programme('a', 1) + channel('z', 'Z') + programme('z', 1))],
  );
  expect(out.passes).toBe(1);
});

test('damage is reported with its offset; what is whole is kept or all is refused', async () => {
  const good = tv(channel('a') + programme('a', 1)).replace('</tv>\n', '');
  const broken = `${good}<programme start="20210102000000" channel="a"><title>cut`;
  const kept = await generateGuide([{ id: 'a' }], [broken]);
  expect(kept.body).toBe(channel('a') + programme('a', 1));
  expect(kept.damage).toEqual([
    { kind: 'unterminated-element', byteOffset: good.length },
    { kind: 'missing-end', byteOffset: broken.length },
  ]);
  const refusing = { label: 'g.xml', onDamage: 'refuse' as const, open: async () => memorySource(Buffer.from(broken)) };
  await expect(generateGuide([{ id: 'a' }], [], { inputs: [refusing] })).rejects.toMatchObject({
    code: 'PLIMSOLL_PLAYLIST_GUIDE_DAMAGED',
    message: `g.xml, byte ${good.length}: has an element without an end tag`,
  });
});

/** A guide whose source fails in the middle of its second programme. */
function failingGuide(failure: Error) {
  const guide = Buffer.from(tv(channel('a') + programme('a', 1) + programme('a', 2)));
  const at = guide.indexOf('<title>t2');
  return { at, open: async () => memorySource(guide, [7], at, failure) };
}

test.each<SourceFault>(['truncated', 'damaged'])(
  'content that is %s is damage at the byte where it is',
  async (fault) => {
    const { at, open } = failingGuide(new SourceError('g', 'unexpected end of file', { fault }));
    const out = await generateGuide([{ id: 'a' }], [], { inputs: [{ label: 'g', open }] });
    expect(out.body).toBe(channel('a') + programme('a', 1));
    expect(out.damage[0]).toEqual({ kind: 'read-error', byteOffset: at, detail: 'g: unexpected end of file' });
    const refusing = generateGuide([{ id: 'a' }], [], { inputs: [{ label: 'g', open, onDamage: 'refuse' }] });
    await expect(refusing).rejects.toBeInstanceOf(GuideDamagedError);
    await expect(refusing).rejects.toMatchObject({ cause: { message: 'g: unexpected end of file' } });
  },
);

test.each<[string, Error]>([
  ['of the disk', new SourceError('g', 'cannot be read (EIO)', { fault: 'unreadable' })],
  ['for a size that is set', new SourceError('g', 'has more than 1 MiB of content', { fault: 'too-large' })],
  ['of another kind', new Error('whatever')],
])('hole: what cannot be read, %s, is taken for damage, and a shorter guide is published', async (_, failure) => {
  const { open } = failingGuide(failure);
  for (const onDamage of ['keep', 'refuse'] as const)
    await expect(generateGuide([{ id: 'a' }], [], { inputs: [{ label: 'g', open, onDamage }] })).rejects.toBe(failure);
  await expect(generateGuide([{ id: 'a' }], [], { inputs: [{ label: 'g', open }], full: true })).rejects.toBe(failure);
});

test('a slow sink is waited for', async () => {
  const guide = tv(channel('old') + [1, 2, 3].map((start) => programme('old', start)).join(''));
  let busy = 0;
  const parts: string[] = [];
  const sink = {
    async write(buffer: Buffer, start: number, end: number) {
      expect(busy++).toBe(0);
      await Promise.resolve();
      parts.push(buffer.toString('utf8', start, end));
      busy--;
    },
  };
  const quick = await generateGuide([{ id: 'new', original: 'old' }, { id: 'old' }], [guide], {
    pieces: [50],
    bufferBytes: 400,
  });
  await expect(
    generateGuide([{ id: 'new', original: 'old' }, { id: 'old' }], [guide], { sink, pieces: [50], bufferBytes: 400 }),
  ).rejects.toThrow('bytesOut');
  expect(parts.join('')).toBe(quick.text);
});

test('the same index serves to write again', async () => {
  const guide = tv(channel('a') + programme('a', 1) + programme('a', 2));
  const { wanted } = wantAll([{ id: 'a' }]);
  const guides = [{ label: 'g', open: async () => memorySource(Buffer.from(guide)) }];
  const consumer = countingConsumer();
  const index = await indexGuides(guides, wanted, consumer);
  const texts = ['', ''];
  for (const [number] of texts.entries()) {
    const sink = {
      write(buffer: Buffer, start: number, end: number) {
        texts[number] += buffer.toString('utf8', start, end);
      },
    };
    const result = await writeGuide({ guides, wanted, index, sink, consumer, tempDir: tmpdir() });
    expect(result).toMatchObject({ channels: 1, programmes: 2, guides: [{ unordered: false }] });
  }
  expect(texts[0]).toBe(texts[1]);
});

test('an aborted run stops', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(generateGuide([{ id: 'a' }], [tv(channel('a'))], { signal })).rejects.toThrow('enough');
});

test('a spill that would grow beyond its bound is refused', async () => {
  let body = '';
  for (let i = 0; i < 40_000; i++) body += '<programme channel="a"/>';
  await expect(generateGuide([{ id: 'a' }], [tv(channel('a') + body)], { maxSpillBytes: 4096 })).rejects.toMatchObject({
    code: 'PLIMSOLL_PLAYLIST_GUIDE_SPILL_LIMIT',
  });
});
