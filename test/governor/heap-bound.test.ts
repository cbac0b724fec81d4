/** What consumers of kind `heap` hold is held against V8's own limit as well: past that V8 ends the process, whatever the line leaves. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { LedgerConsumer } from '../../src/governor/consumer.ts';
import type { Consumer, ConsumerOptions } from '../../src/governor/contract.ts';
import { BareBooks, Watched } from './bare-books.ts';

const CHILD = `
import { createGovernor } from 'plimsoll';
const MIB = 1_048_576;
using governor = createGovernor({ limitBytes: 1_024 * MIB, root: '/nowhere' });
const rows = governor.consumer({ name: 'rows', kind: 'heap', maxBytes: Infinity });
const tiles = governor.consumer({ name: 'tiles', kind: 'external', maxBytes: Infinity });
const said = [rows.tryReserve(400 * MIB)?.bytes ?? 'no', rows.tryReserve(100 * MIB)?.bytes ?? 'no'];
try {
  rows.reserve(50 * MIB);
} catch (error) {
  said.push(error.boundBy, error.message.split(';')[0]);
}
said.push(tiles.tryReserve(400 * MIB)?.bytes ?? 'no');
said.push(await rows.admit(400 * MIB).catch((error) => error.code));
console.log(JSON.stringify(said));
`;

/** Books in which consumers of kind `heap` may hold 50 of 100 bytes. */
function books(mode: 'on' | 'observe' = 'on'): BareBooks {
  const bare = new BareBooks({ mode });
  bare.ledger.boundKind('heap', 'V8’s heap', 50);
  return bare;
}

describe('the bound of V8’s heap', () => {
  it('refuses what V8 would end the process for, and names itself', () => {
    const args = ['--conditions=source', '--max-old-space-size=128', '--input-type=module-typescript', '-e', CHILD];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: import.meta.dirname });
    expect(child.stderr).toBe('');
    const said = JSON.parse(child.stdout) as unknown[];
    expect(said.slice(0, 3)).toEqual(['no', 104_857_600, 'V8’s heap']);
    expect(said[3]).toMatch(
      /^rows asked for 50MiB and holds 100MiB: V8’s heap has 1\d(\.\d+)?MiB left of its own bound$/,
    );
    expect(said.slice(4)).toEqual([419_430_400, 'PLIMSOLL_BUDGET_EXCEEDED']);
  });

  it('holds for all consumers of the kind together, in whatever branch, and for no other kind', () => {
    const all = books();
    const parent = all.consumer('parent', { kind: 'external' });
    const child = all.consumer('child', { parent });
    const held = child.reserve(30);
    expect(all.consumer('other').tryReserve(21)).toBeUndefined();
    expect(all.consumer('other').tryReserve(20)?.bytes).toBe(20);
    expect(parent.tryReserve(40)?.bytes).toBe(40);
    held[Symbol.dispose]();
    expect([all.ledger.kindBytes(0), all.ledger.kindBytes(1), all.heldBytes]).toEqual([20, 40, 60]);
    // Moved into the kind it counts there; within it nothing changes.
    const tile = parent.reserve(25);
    tile.transfer(child);
    expect(all.ledger.kindBytes(0)).toBe(45);
    const more = parent.reserve(5);
    more.grow(1);
    expect(() => more.transfer(child)).toThrow('V8’s heap has 5B left of its own bound');
    expect([more.bytes, all.ledger.kindBytes(0)]).toEqual([6, 45]);
  });

  it('has others of the kind give back, and only those', () => {
    const all = books();
    const asked: string[] = [];
    const cache = (name: string, options: Partial<ConsumerOptions>): Consumer => {
      const reclaimer = {
        reclaimableBytes: () => 20,
        reclaimNow: ({ targetBytes }: { targetBytes: number }) => {
          asked.push(name);
          held.shrink(targetBytes);
          return targetBytes;
        },
      };
      const consumer = all.consumer(name, { ...options, reclaimer });
      const held = consumer.reserve(40);
      return consumer;
    };
    cache('tiles', { kind: 'external' });
    const rows = cache('rows', { kind: 'heap' });
    expect(all.consumer('job').tryReserve(15)?.bytes).toBe(15);
    expect([asked, rows.heldBytes]).toEqual([['rows'], 35]);
  });

  it('keeps those that wait for it apart from those that do not, and grants them when there is room', async () => {
    const all = books();
    const rows = all.consumer('rows').reserve(40);
    const waiting = new Watched(all.consumer('job').admit(30));
    expect(all.consumer('tiles', { kind: 'external' }).tryReserve(10)?.bytes).toBe(10);
    rows.shrink(20);
    expect((await waiting.promise).bytes).toBe(30);
    expect(all.ledger.kindBytes(0)).toBe(50);
  });

  it('knows neither the runtime nor what scopes have declared: of what kind that will be is not known yet', async () => {
    const all = books();
    const runtime = all.ledger.openOwn('runtime');
    new LedgerConsumer(all.budget, runtime);
    all.ledger.charge(runtime, 10);
    const rows = all.consumer('rows');
    const said = await all.scopes.run({ name: 'report', maxBytes: 90, upFrontBytes: 80 }, () => {
      const before = all.ledger.kindBytes(0);
      const tiles = all.consumer('tiles', { kind: 'external' });
      return [before, rows.tryReserve(51), rows.tryReserve(50)?.bytes, tiles.tryReserve(30)?.bytes, all.heldBytes];
    });
    expect(said).toEqual([90, undefined, 50, 30, 90]);
    expect([all.ledger.kindBytes(0), all.heldBytes]).toEqual([60, 90]);
  });

  it('is only counted in `observe`', () => {
    const all = books('observe');
    expect([all.consumer('rows').tryReserve(51)?.bytes, all.budget.refusals]).toEqual([51, 1]);
  });
});
