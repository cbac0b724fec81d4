import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SOURCES = join(import.meta.dirname, '../../src');

test('hole: some errors of the program have a code without the prefix of the house', () => {
  const files = globSync('**/*.ts', { cwd: SOURCES }).map((path) => readFileSync(join(SOURCES, path), 'utf8'));
  const codes = files.flatMap((text) =>
    [...text.matchAll(/\bcode(?:: | = )'([A-Z]+_[A-Z_]+)'/g)].map(([, code]) => code),
  );
  expect(codes.length).toBeGreaterThan(7);
  expect(codes.filter((code) => !code!.startsWith('PLIMSOLL_'))).toEqual([]);
});
