import { test } from 'vitest';
import { fuzzM3u } from './fuzz.ts';

test('damage crashes nothing, hangs nothing and costs nothing before it', async () => {
  await fuzzM3u(3000, 20_260_101);
});
