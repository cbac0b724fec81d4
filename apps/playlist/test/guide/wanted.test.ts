import { expect, test } from 'vitest';
import { Match } from '../../src/guide/match.ts';
import type { WantedChannels } from '../../src/guide/wanted.ts';
import { resolveAt, wantAll } from './wanted-fixture.ts';

/** Tells `wanted` of a guide's channel with its names, as the index pass does. */
function declare(wanted: WantedChannels, guide: number, id: string, ...names: string[]): void {
  const bytes = Buffer.from(id);
  wanted.claimId(guide, bytes, 0, bytes.length, true);
  for (const name of names)
    wanted.claimName(guide, bytes, 0, bytes.length, Buffer.from(name), 0, Buffer.byteLength(name));
}

function outputs(wanted: WantedChannels, guide: number, id: string): number {
  return wanted.outputsOf(guide, Buffer.from(id), 0, Buffer.byteLength(id), true);
}

test('an equal id matches, and what nobody wants costs nothing', () => {
  const { wanted, records, consumer } = wantAll([
    { id: 'a.uk', name: 'A' },
    { id: 'b.uk', name: 'B' },
  ]);
  const before = consumer.heldBytes;
  for (let i = 0; i < 10_000; i++) declare(wanted, 0, `foreign${i}`, `Foreign ${i}`);
  expect(consumer.heldBytes).toBe(before);
  declare(wanted, 0, 'a.uk', 'A');
  expect(resolveAt(wanted, records, 0)).toEqual([Match.id, '']);
  expect(resolveAt(wanted, records, 1)).toEqual([Match.none, '']);
  expect(outputs(wanted, 0, 'a.uk')).toBe(1);
  expect(outputs(wanted, 1, 'a.uk')).toBe(1);
  expect(outputs(wanted, 0, 'foreign7')).toBe(0);
  expect(outputs(wanted, 0, 'b.uk'), 'wanted, and no guide is known to have it').toBe(-1);
});

test('an id that a rule changed is found by the former one and written under the new one', () => {
  const { wanted, records } = wantAll([
    { id: 'new', original: 'old' },
    { id: 'newer', original: 'old' },
    { id: 'old' },
    { id: 'new', original: 'old' },
  ]);
  declare(wanted, 0, 'old', 'Old');
  expect(resolveAt(wanted, records, 0)[0]).toBe(Match.rewritten);
  expect(resolveAt(wanted, records, 1)[0]).toBe(Match.rewritten);
  expect(resolveAt(wanted, records, 2)[0]).toBe(Match.id);
  expect(outputs(wanted, 0, 'old')).toBe(3);
  const ids = [wanted.outputs[1]!, wanted.outputs[2]!].map((slot) => wanted.rewrittenId(slot).toString());
  expect(ids.sort()).toEqual(['new', 'newer']);
});

test('a guide that really has the new id wins over the rewritten one, wherever it stands', () => {
  const { wanted, records } = wantAll([{ id: 'new', original: 'old' }]);
  declare(wanted, 0, 'old');
  declare(wanted, 1, 'new');
  expect(resolveAt(wanted, records, 0)[0]).toBe(Match.id);
  expect(outputs(wanted, 0, 'old')).toBe(0);
  expect(outputs(wanted, 1, 'new')).toBe(1);
});

test('names adopt the id of the first guide that has them, exact ids in any guide go before', () => {
  const { wanted, records } = wantAll([
    { name: 'UK: BBC One HD' },
    { id: 'x', name: 'BBC Two' },
    { id: 'nowhere', name: 'zzz', tvgName: 'BBC Three' },
  ]);
  declare(wanted, 0, 'g1', 'BBC One');
  declare(wanted, 0, 'g2', 'BBC Two');
  declare(wanted, 0, 'g3', 'Three', 'BBC THREE');
  declare(wanted, 1, 'h1', 'BBC One');
  declare(wanted, 1, 'x', 'Something else');
  expect(outputs(wanted, 0, 'g1'), 'not before somebody asks for it').toBe(0);
  expect(resolveAt(wanted, records, 0)).toEqual([Match.name, 'g1']);
  expect(resolveAt(wanted, records, 1)).toEqual([Match.id, '']);
  expect(resolveAt(wanted, records, 2)).toEqual([Match.name, 'g3']);
  expect(outputs(wanted, 0, 'g1')).toBe(1);
  expect(outputs(wanted, 1, 'g1'), 'the same id in another guide is another channel').toBe(0);
  expect(outputs(wanted, 0, 'g2'), 'claimed by name, wanted by nobody').toBe(0);
  expect(outputs(wanted, 1, 'h1')).toBe(0);
});

test('aliases go by name or id to an id or a display-name, and before names', () => {
  const { wanted, records } = wantAll(
    [
      { name: 'The One HD' },
      { id: 'two' },
      { id: 'three', name: 'Three' },
      { name: 'Four' },
      { id: 'five', name: 'Five' },
    ],
    {
      aliases: [
        ['the one', 'g1'],
        ['two', 'Guide Two'],
        ['Three', 'g3'],
        ['Four', 'missing'],
        ['five', 'g5'],
      ],
    },
  );
  declare(wanted, 0, 'g9', 'Three', 'g3');
  declare(wanted, 0, 'g1', 'x');
  declare(wanted, 0, 'g2', 'GUIDE TWO HD');
  declare(wanted, 0, 'five', 'Five');
  declare(wanted, 1, 'g3', 'y');
  declare(wanted, 1, 'g4', 'Four');
  expect(resolveAt(wanted, records, 0)).toEqual([Match.alias, 'g1']);
  expect(resolveAt(wanted, records, 1)).toEqual([Match.alias, 'g2']);
  expect(resolveAt(wanted, records, 2), 'by id in guide 2, though guide 1 has a like name').toEqual([
    Match.alias,
    'g3',
  ]);
  expect(resolveAt(wanted, records, 3), 'an alias that leads nowhere leaves the name').toEqual([Match.name, 'g4']);
  expect(resolveAt(wanted, records, 4), 'an equal id needs no alias').toEqual([Match.id, '']);
});

test('forgetting the claims leaves the wants, and adopted ids are wanted no more', () => {
  const { wanted, records } = wantAll([{ id: 'a', name: 'A' }, { name: 'B' }]);
  declare(wanted, 0, 'a', 'A');
  declare(wanted, 0, 'b', 'B');
  expect(resolveAt(wanted, records, 1)).toEqual([Match.name, 'b']);
  wanted.forgetClaims();
  expect(resolveAt(wanted, records, 0)[0]).toBe(Match.none);
  expect(outputs(wanted, 0, 'b')).toBe(0);
  expect(outputs(wanted, 0, 'a')).toBe(-1);
  declare(wanted, 0, 'b2', 'B');
  declare(wanted, 1, 'a', 'A');
  expect(resolveAt(wanted, records, 1)).toEqual([Match.name, 'b2']);
  expect(resolveAt(wanted, records, 0)[0]).toBe(Match.id);
});

test('200,000 ids and names stay within 23 bytes each, and everything is given back', () => {
  const count = 200_000;
  const { wanted, consumer } = wantAll(
    Array.from({ length: count }, (_, i) => ({ id: `channel${i}.tv`, name: `Channel number ${i}` })),
  );
  expect(consumer.heldBytes / count).toBeLessThan(2 * 23 + 1);
  wanted[Symbol.dispose]();
  expect(consumer.heldBytes).toBe(0);
});

test('a pair of ids counts once, and one id becomes a bounded number of others', () => {
  const same = Array.from({ length: 100 }, () => ({ id: 'new', original: 'old' }));
  expect(wantAll(same).wanted.refusedRewriteCount).toBe(0);
  const many = Array.from({ length: 70 }, (_, i) => ({ id: `new${i}`, original: 'old' }));
  const { wanted } = wantAll([...many, { id: 'x'.repeat(2000), original: 'other' }]);
  expect(wanted.refusedRewriteCount).toBe(7);
  declare(wanted, 0, 'old');
  expect(outputs(wanted, 0, 'old')).toBe(64);
});
