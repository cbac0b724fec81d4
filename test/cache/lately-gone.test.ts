import { describe, expect, it } from 'vitest';
import { LatelyGone } from '../../src/cache/lately-gone.ts';

/** Mixed as the hashes of keys are. */
const hashOf = (key: number): number => {
  const hash = Math.imul(key ^ (key >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & 0x7fffffff;
};

describe('keys that went lately', () => {
  it('are known until so much has gone after them, by weight', () => {
    const gone = new LatelyGone();
    gone.add(1, 10);
    gone.add(2, 5);
    expect(gone.take(1, 5)).toBe(false);
    gone.add(1, 10);
    gone.add(3, 5);
    expect(gone.take(1, 6)).toBe(true);
    expect(gone.take(9, 100)).toBe(false);
  });

  it('are asked for once', () => {
    const gone = new LatelyGone();
    gone.add(7, 1);
    expect(gone.take(7, 10)).toBe(true);
    expect(gone.take(7, 10)).toBe(false);
    gone.add(7, 1);
    gone.clear();
    expect(gone.take(7, 10)).toBe(false);
  });

  it.each([16, 1_000, 100_000])('of %d that are followed nearly all are still there', (count) => {
    const gone = new LatelyGone();
    gone.resize(count);
    const followed = Array.from({ length: count }, (_, key) => hashOf(key)).filter((hash) => gone.follows(hash));
    for (let key = 0; key < count; key++) gone.add(hashOf(key), 1);
    const found = followed.filter((hash) => gone.take(hash, count + 1));
    expect(followed.length).toBeGreaterThan(Math.min(count, 2_048) * 0.4);
    expect(found.length).toBeGreaterThan(followed.length * 0.7);
  });
});
