import { describe, expect, it } from 'vitest';
import { encodeU32 } from '../../src/wasm/module-sections.ts';
import { readModuleShape } from '../../src/wasm/module-shape.ts';
import { fuzzAbi, fuzzManifest, fuzzModule } from './fuzz.ts';
import { guest } from './wat.ts';

// The gate `wasm-fuzz` does this a hundred times as often.
describe('what a plugin gives the host to read', () => {
  it.each([
    ['its manifest', fuzzManifest, ['taken', 'refused']],
    ['its module', fuzzModule, ['taken', 'taken with its code changed', 'refused', 'refused by V8']],
    ['the numbers in its calls', fuzzAbi, ['done', 'stopped']],
  ] as const)('does no harm: %s', async (_, fuzzer, ends) => {
    const counts = await fuzzer(1_000, 7);
    for (const end of ends) expect(counts[end], end).toBeGreaterThan(10);
  });

  it.each([
    ['many custom sections', (n: number) => Array.from({ length: Math.min(n, 900) }, () => custom(Math.ceil(n / 100)))],
    [
      'many types',
      (n: number) => [section(1, [...encodeU32(n), ...Array.from({ length: n }, () => [0x60, 0, 0]).flat()])],
    ],
    ['many functions', (n: number) => [section(3, [...encodeU32(n), ...new Uint8Array(n)])]],
    ['one long section', (n: number) => [custom(n * 100)]],
  ])('a module of four times the size is not looked at for sixteen times as long: %s', async (_, make) => {
    const good = await guest();
    const time = (n: number) => {
      const bytes = Buffer.concat([good, ...make(n)]);
      let best = Number.POSITIVE_INFINITY;
      for (let tries = 0; tries < 5; tries++) {
        const started = performance.now();
        try {
          readModuleShape(bytes);
        } catch {
          // Refused in the end: how long it took is what counts.
        }
        best = Math.min(best, performance.now() - started);
      }
      return best;
    };
    const [small, large] = [time(4_000), time(16_000)];
    expect(large).toBeLessThan(12 * small + 5);
  });
});

const section = (id: number, content: readonly number[]): Uint8Array =>
  Uint8Array.from([id, ...encodeU32(content.length), ...content]);
const custom = (length: number): Uint8Array =>
  Buffer.concat([Uint8Array.from([0, ...encodeU32(length + 2), 1, 0x78]), new Uint8Array(length)]);
