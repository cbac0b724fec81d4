import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FLOOR_RULES } from './architecture/floor-rules.ts';
import { REACH_RULES } from './architecture/reach-rules.ts';
import { makeTree, readTree } from './architecture/source-file.ts';
import { TIDINESS_RULES } from './architecture/tidiness-rules.ts';

const project = readTree(join(import.meta.dirname, '..'));

it('the project was found', () => {
  expect(project.files.length).toBeGreaterThan(20);
  expect(project.files.map(({ path }) => path)).toContain('src/governor/contract.ts');
});

describe.each([...FLOOR_RULES, ...REACH_RULES, ...TIDINESS_RULES])('$name', (rule) => {
  it('holds', () => {
    expect(rule.check(project)).toEqual([]);
  });

  it.each(
    rule.broken.map((texts) => ({
      texts,
      title: Object.entries(texts)[0]!.join(': ').replaceAll(/\s+/g, ' ').slice(0, 80),
    })),
  )('sees through $title', ({ texts }) => {
    expect(rule.check(makeTree(texts))).not.toEqual([]);
  });

  it('lets pass what keeps it', () => {
    for (const texts of rule.kept ?? []) expect(rule.check(makeTree(texts))).toEqual([]);
  });
});
