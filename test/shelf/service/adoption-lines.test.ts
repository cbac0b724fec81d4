import { describe, expect, it } from 'vitest';
import { adoptionLines, differingLines } from './adoption-lines.ts';

describe('ten lines are enough', () => {
  it('to adopt a Fastify service with its cache, and none of its own lines changes', () => {
    const { added, removed } = adoptionLines();
    expect(removed).toEqual([]);
    expect(added.length, added.join('\n')).toBeGreaterThan(0);
    expect(added.length, added.join('\n')).toBeLessThanOrEqual(10);
    // Nothing is hidden by a long line.
    for (const line of added) expect(line.length).toBeLessThanOrEqual(120);
  });

  it('counted as `diff` counts', () => {
    expect(differingLines(['a', 'b', 'c'], ['a', 'x', 'c', 'd'])).toEqual({ added: ['x', 'd'], removed: ['b'] });
    expect(differingLines([], ['a'])).toEqual({ added: ['a'], removed: [] });
    expect(differingLines(['a', 'a'], ['a'])).toEqual({ added: [], removed: ['a'] });
    expect(differingLines(['a'], ['a'])).toEqual({ added: [], removed: [] });
  });
});
