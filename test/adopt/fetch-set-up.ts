import { type GovernedFetchOptions, governedFetch } from 'plimsoll/adopt';
import { expect } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

export const KIB = 1024;

/** A governed fetch of 1 MiB in all and 512 KiB each, on a governor that can be broken. */
export function setUpFetch(options: Partial<GovernedFetchOptions> = {}, mode: 'on' | 'observe' | 'off' = 'on') {
  const { governor, clock } = setUp({ mode });
  const { governor: fragile, breakIt } = breakable(governor);
  const fetch = governedFetch(fragile, {
    name: 'upstream',
    maxInFlightBytes: MIB,
    maxBodyBytes: 512 * KIB,
    clock,
    ...options,
  });
  return { governor, clock, fetch, breakIt };
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Waits, by turns of the loop and not by the time, for what sockets bring about. */
export async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 100_000 && !holds(); i++) await turn();
  expect(holds()).toBe(true);
}
