/** A fault inside the governor, or of what lies under it, never reaches the service. */
import { describe, expect, it } from 'vitest';
import { failNth, INJECTIONS, serve } from './fail-nth.ts';
import { MACHINE_FAULTS } from './machine-faults.ts';

describe('the service without a fault', () => {
  it('is granted, refused and made to wait, and nothing is noted', async () => {
    const { outcomes, faults, error } = await serve((_, call) => call());
    expect([faults, error]).toEqual([[], undefined]);
    for (const outcome of ['tryReserve refused', 'reserve PLIMSOLL_BUDGET_EXCEEDED', 'admit granted', 'grow granted']) {
      expect(outcomes).toContain(outcome);
    }
  });
});

describe('whichever call fails', () => {
  it.each(INJECTIONS.map((injection) => [injection.spot, injection] as const))('at %s', async (_, injection) => {
    const reports = await failNth(injection, 2);
    expect(reports.flatMap(({ how, broken }) => broken.map((line) => `${how}: ${line}`))).toEqual([]);
    for (const { how, runs } of reports) expect(runs, how).toBeGreaterThan(1);
  });

  it('is found out where nobody holds it in', async () => {
    const { error } = await serve((spot, call) => {
      if (spot === 'meter read') setImmediate(() => void Promise.reject(new Error('nobody looks after me')));
      return call();
    });
    expect(error).toContain('nobody looks after me');
  });
});

describe('whatever happens to the machine', () => {
  it.each(MACHINE_FAULTS.map((fault) => [fault.name, fault] as const))('%s', async (_, fault) => {
    expect(await fault.run()).toEqual([]);
  });
});
