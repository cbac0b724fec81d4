import { expect, test } from 'vitest';
import { fuzzXmltv } from './fuzz.ts';

test('3,000 mutated guides: no crash, no hang, nothing lost that stood before the damage', async () => {
  const result = await fuzzXmltv(3000, 20210101);
  expect(result.inputs).toBe(3000);
  expect(result.keptElements).toBeGreaterThan(3000);
  expect(result.damaged).toBeGreaterThan(1500);
});
