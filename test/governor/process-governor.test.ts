import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createGovernor, type Governor } from 'plimsoll';
import { afterEach, describe, expect, it } from 'vitest';
import {
  ensureProcessGovernor,
  lendProcessGovernor,
  processGovernor,
  setProcessGovernor,
} from '../../src/governor/process-governor.ts';
import { setUp } from './fake-meter.ts';

const DIST = join(import.meta.dirname, '../../dist');
const SLOT = Symbol.for('plimsoll.governor.v1');
const slots = globalThis as Record<symbol, unknown>;
const isBuilt = existsSync(join(DIST, 'governor/process-governor.js'));
if (!isBuilt) console.warn('The test with two copies of the package is skipped: dist/ is out of date, npm run build.');

afterEach(() => {
  delete slots[SLOT];
});

describe('the governor of the process', () => {
  it('is none until one is set, and none after that is disposed', () => {
    expect(processGovernor()).toBeUndefined();
    const { governor } = setUp();
    const slot = setProcessGovernor(governor);
    expect(processGovernor()).toBe(governor);
    slot[Symbol.dispose]();
    slot[Symbol.dispose]();
    expect(processGovernor()).toBeUndefined();
  });

  it('is one: a second is refused, the same again changes nothing', () => {
    const { governor } = setUp();
    using _ = setProcessGovernor(governor);
    const refused = expect.objectContaining({ code: 'PLIMSOLL_ALREADY_SET', recovery: 'fallback' });
    expect(() => setProcessGovernor(setUp().governor)).toThrow(refused);
    setProcessGovernor(governor)[Symbol.dispose]();
    expect(processGovernor()).toBe(governor);
  });

  it('is made when there is none, and only then', () => {
    const made = ensureProcessGovernor({ limitBytes: 1_000_000_000, runtimeBytes: 0 });
    expect(made.limitBytes).toBe(1_000_000_000);
    expect(ensureProcessGovernor({ limitBytes: 5 })).toBe(made);
    made[Symbol.dispose]();
  });

  it('that was lent gives way to the first of somebody else, once, and to no second', () => {
    let replaced = 0;
    const onReplaced = () => {
      replaced++;
      throw new Error('whoever lent it fails');
    };
    const lent = lendProcessGovernor({ limitBytes: 1_000_000_000, runtimeBytes: 0 }, onReplaced);
    expect([processGovernor(), ensureProcessGovernor()]).toEqual([lent, lent]);
    expect(lendProcessGovernor({}, onReplaced)).toBeUndefined();
    const { governor } = setUp();
    setProcessGovernor(governor);
    expect([processGovernor(), replaced, lent?.disposed]).toEqual([governor, 1, false]);
    expect(() => setProcessGovernor(setUp().governor)).toThrow('dispose that one first');
    lent?.[Symbol.dispose]();
    expect(processGovernor()).toBe(governor);
  });

  it('an old slot does not take away a newer governor', () => {
    const first = setProcessGovernor(setUp().governor);
    first[Symbol.dispose]();
    const { governor } = setUp();
    setProcessGovernor(governor);
    first[Symbol.dispose]();
    expect(processGovernor()).toBe(governor);
  });

  it('that is disposed counts as none, and cannot be set', () => {
    const { governor } = setUp();
    setProcessGovernor(governor);
    governor[Symbol.dispose]();
    expect(processGovernor()).toBeUndefined();
    expect(() => setProcessGovernor(governor)).toThrow('Expected `governor` to be a governor that is not disposed');
    const next = ensureProcessGovernor({ limitBytes: 1_000_000_000 });
    expect(processGovernor()).toBe(next);
    next[Symbol.dispose]();
  });

  it.each([[undefined], [null], [5], [{}], [{ consumer: 1, snapshot: 1, sample: 1 }]])('is not %j', (value) => {
    slots[SLOT] = value;
    expect(processGovernor()).toBeUndefined();
    expect(() => setProcessGovernor(value as unknown as Governor)).toThrow('Expected `governor`');
  });

  it('does not show among the names of the global object', () => {
    using governor = createGovernor({ limitBytes: 1_000_000_000 });
    using _ = setProcessGovernor(governor);
    expect(Object.getOwnPropertyDescriptor(globalThis, SLOT)?.enumerable).toBe(false);
  });

  it.skipIf(!isBuilt)('is shared by two copies of the package, one imported, one required', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-copies-test-'));
    try {
      const [one = '', two = ''] = ['one', 'two'].map((name) => {
        const copy = join(folder, name);
        mkdirSync(copy);
        writeFileSync(join(copy, 'package.json'), '{"type": "module"}');
        cpSync(DIST, join(copy, 'dist'), { recursive: true });
        return join(copy, 'dist/governor/process-governor.js');
      });
      const imported = (await import(
        pathToFileURL(one).href
      )) as typeof import('../../src/governor/process-governor.ts');
      const required = createRequire(import.meta.url)(two) as typeof imported;
      expect(imported.processGovernor).not.toBe(required.processGovernor);
      const made = imported.ensureProcessGovernor({ limitBytes: 1_000_000_000 });
      expect(required.processGovernor()).toBe(made);
      expect(processGovernor()).toBe(made);
      expect(required.ensureProcessGovernor({ limitBytes: 5 })).toBe(made);
      expect(() => required.setProcessGovernor(setUp().governor)).toThrow(
        expect.objectContaining({ code: 'PLIMSOLL_ALREADY_SET' }),
      );
      made[Symbol.dispose]();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
