import { describe, expect, it } from 'vitest';
import { faultEvents } from '../src/events.ts';
import { FailOpen } from '../src/fail-open.ts';

describe('FailOpen', () => {
  it('passes through what goes well, and gives the other thing when it does not, and counts', () => {
    const open = new FailOpen('part');
    expect([open.run(() => 1, 2), open.count]).toEqual([1, 0]);
    expect([open.run(fail, 2), open.run(fail, 3), open.count]).toEqual([2, 3, 2]);
  });

  it('says so to who listens, whatever was thrown', () => {
    const heard: unknown[] = [];
    using _ = faultEvents.subscribe((event) => void heard.push(event));
    const open = new FailOpen('adopt images');
    open.run(fail, undefined);
    open.note(Object.create(null));
    expect(heard).toEqual([
      { part: 'adopt images', message: 'broken', off: false },
      { part: 'adopt images', message: 'something that cannot be shown was thrown', off: false },
    ]);
  });

  it('looks after promises that nobody awaits', async () => {
    const open = new FailOpen('part');
    open.watch(Promise.reject(new Error('later')));
    open.watch(undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(open.count).toBe(1);
  });
});

function fail(): never {
  throw new Error('broken');
}
