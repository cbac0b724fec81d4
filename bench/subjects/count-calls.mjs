// For `node --import`: counts what a program asks of the governor, and writes the counts to the file that PLIMSOLL_BENCH_COUNTS names.
import { writeFileSync } from 'node:fs';
import { createGovernor, Governor } from 'plimsoll';

const calls = {};
const count = (prototype, names) => {
  for (const name of names) {
    const original = prototype[name];
    calls[String(name)] = 0;
    prototype[name] = function (...given) {
      calls[String(name)]++;
      return original.apply(this, given);
    };
  }
};

const governor = createGovernor({ limitBytes: 1e9, mode: 'off' });
const consumer = governor.consumer({ name: 'probe', kind: 'heap', maxBytes: 1e6 });
const reservation = consumer.reserve(1);
// `reserve` and `grow` may stand on the `try` verbs or not: the outer one is what the program calls, both are what costs.
count(Object.getPrototypeOf(consumer), ['reserve', 'tryReserve', 'admit']);
count(Object.getPrototypeOf(reservation), ['grow', 'tryGrow', 'shrink', 'resize', 'transfer']);
count(Governor.prototype, ['snapshot']);

const dispose = Governor.prototype[Symbol.dispose];
Governor.prototype[Symbol.dispose] = function () {
  if (this !== governor) {
    const { samples, collections } = this.snapshot();
    writeFileSync(process.env.PLIMSOLL_BENCH_COUNTS, JSON.stringify({ calls, samples, collections }));
  }
  return dispose.call(this);
};
