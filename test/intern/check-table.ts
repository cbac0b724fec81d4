import { expect } from 'vitest';
import { flatBytes, isWide, SCRATCH_BYTES } from '../../src/intern/flat-text.ts';
import { type InternTable, MOST_PROBES } from '../../src/intern/intern-table.ts';
import { type StringInterner, tableOf } from '../../src/intern/string-interner.ts';

/** All that must be true of a table at rest; returns its texts. */
export function checkTable(table: InternTable): string[] {
  const { cells, mask, texts, hashes, capacity, top } = table;
  const kept: string[] = [];
  const found = new Set<number>();
  const faults: string[] = [];
  for (let cell = 0; cell <= mask; cell++) {
    const slot = cells[2 * cell + 1]!;
    if (slot === 0) continue;
    if (found.has(slot)) faults.push(`slot ${slot} has two cells`);
    found.add(slot);
    if (cells[2 * cell] !== hashes[slot]) faults.push(`cell ${cell} has another hash than slot ${slot}`);
    const distance = (cell - hashes[slot]!) & mask;
    if (distance >= MOST_PROBES) faults.push(`cell ${cell} is ${distance} from its place`);
    for (let i = 0; i < distance; i++) {
      if (cells[2 * ((hashes[slot]! + i) & mask) + 1] === 0) faults.push(`cell ${cell} is not found: a gap before it`);
    }
    kept.push(texts[slot]!);
    if ((table.wide[slot] === 1) !== isWide(texts[slot]!)) faults.push(`slot ${slot} is not as wide as it says`);
  }
  expect(faults).toEqual([]);
  expect(table.count).toBe(found.size);
  expect(new Set(kept).size).toBe(kept.length);
  expect(top).toBeLessThanOrEqual(capacity + 1);
  expect(texts.filter((text) => text !== undefined)).toHaveLength(found.size);
  let free = 0;
  for (let slot = table.free; slot !== 0; slot = hashes[slot]!) {
    if (texts[slot] !== undefined || ++free >= top) throw new Error(`slot ${slot} is free and is not`);
  }
  expect(free + found.size).toBe(top - 1);
  return kept;
}

/** The table and what is said of it. */
export function checkInterner(interner: StringInterner): string[] {
  const table = interner[tableOf];
  const kept = checkTable(table);
  const { stats } = interner;
  const texts = kept.reduce((sum, text) => sum + flatBytes(text.length, isWide(text)), 0);
  expect(stats.bytes).toBe(stats.heapBytes + stats.externalBytes);
  expect(stats.heapBytes).toBe(texts + table.heapBytes);
  const arrays = table.cells.byteLength + table.uses.byteLength + table.hashes.byteLength + table.wide.byteLength;
  expect(stats.externalBytes).toBe(arrays + (table.generations?.bytes ?? 0) + SCRATCH_BYTES);
  expect(stats.bytes).toBeLessThanOrEqual(interner.maxBytes);
  expect(stats.entryCount).toBe(kept.length);
  return kept;
}
