import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Faults } from '../../src/governor/faults.ts';

describe('faults', () => {
  it('keep a short message, and nothing of the long text that it was cut out of', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const faults = new Faults();
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 60; i++) {
      const body = Buffer.alloc(512 * 1024, `${i} is what the other side said; `).toString('latin1');
      faults.note(`part ${i}`, i % 2 === 0 ? new Error(body) : body.slice(0, 100));
    }
    collect();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(5 * 1_048_576);
    expect(faults.rows()[7]).toEqual({
      part: 'part 7',
      message: expect.stringMatching(/^7 is what/),
      count: 1,
      off: false,
    });
    expect(
      faults
        .rows()
        .map(({ message }) => message.length)
        .slice(0, 2),
    ).toEqual([200, 100]);
  });

  it('show whatever text was thrown as it is', () => {
    const faults = new Faults();
    for (const text of ['Größe ≤ 5 📦', 'half of a pair: \ud83d', '']) {
      faults.note('part', text);
      expect(faults.rows()[0]!.message).toBe(text);
    }
  });
});
