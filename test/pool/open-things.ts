import { type Governor, ManualClock } from 'plimsoll';
import { ObjectPool, type ObjectPoolOptions } from 'plimsoll/pool';

export interface Thing {
  readonly id: number;
  note: string;
}

/** A pool on a clock that stands, and the numbers of what it destroyed. */
export function openThings(options: Partial<ObjectPoolOptions<Thing>> = {}) {
  const clock = new ManualClock();
  const destroyed: number[] = [];
  let made = 0;
  const pool = new ObjectPool<Thing>({
    name: 'things',
    maxSize: 4,
    create: () => ({ id: made++, note: '' }),
    destroy: ({ id }) => void destroyed.push(id),
    clock,
    ...options,
  });
  return { pool, clock, destroyed };
}

/** The code of what `act` throws. */
export const codeOf = (act: () => unknown): unknown => {
  try {
    act();
    return 'no error';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

/** What the pool says of itself in the snapshot. */
export const holderOf = (governor: Governor) =>
  governor.snapshot().consumers.find(({ name }) => name === 'things')?.holder;
