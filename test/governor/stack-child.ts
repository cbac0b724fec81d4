/** Opens scopes where hardly any stack is left: `stack-child.ts returns|throws|waits|declares`. Prints what is left of them. */
import { createGovernor } from 'plimsoll';

const upFrontBytes = process.argv[2] === 'declares' ? 1 : 0;
const works: Record<string, () => unknown> = {
  throws: () => {
    throw new Error('no');
  },
  waits: () => Promise.resolve(),
};
const work = works[process.argv[2]!] ?? (() => undefined);

const governor = createGovernor({ limitBytes: 2 ** 30, runtimeBytes: 0, mode: 'on', meters: [], root: '/nowhere' });
// Frames of many sizes: the stack ends at another place each time.
for (let size = 0; size < 24; size += 2) {
  const padding = new Array<number>(size).fill(0);
  const recurse = (..._padding: readonly number[]): void => {
    try {
      governor.scope({ name: 'deep', maxBytes: 1, upFrontBytes }, work).catch(() => {});
      recurse(...padding);
    } catch {}
  };
  recurse(...padding);
}
await new Promise((resolve) => setImmediate(resolve));
const { heldBytes } = governor;
const { scopeCount, faults } = governor.snapshot();
const job = governor.consumer({ name: 'job', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
const bounded = await governor.scope({ name: 'bounded', maxBytes: 10 }, () => job.tryReserve(11) === undefined);
console.log(JSON.stringify({ scopeCount, faults, heldBytes, bounded }));
