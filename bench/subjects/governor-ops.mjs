// One operation of the governor, or of a bare counter with the same checks, many times over: time and bytes for each.
import { createGovernor } from 'plimsoll';

const [name, count] = [process.argv[2], Number(process.argv[3])];
const BYTES = 1024;
/** So few that they fit into the young generation that the process is started with: nothing is collected while bytes are counted. */
const MEASURED = 2_000;

class Counter {
  held = 0;
  limit = 1e9;

  tryTake(bytes) {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError('bytes');
    if (bytes > this.limit - this.held) return false;
    this.held += bytes;
    return true;
  }

  give(bytes) {
    if (!Number.isSafeInteger(bytes) || bytes > this.held) throw new RangeError('bytes');
    this.held -= bytes;
  }
}

const governor = createGovernor({ limitBytes: 4e9 });
const parent = governor.consumer({ name: 'bench', kind: 'external', maxBytes: 1e9 });
const consumer = governor.consumer({ name: 'part', kind: 'external', maxBytes: 1e9, parent });
for (let i = 0; i < 18; i++) governor.consumer({ name: `idle ${i}`, kind: 'heap', maxBytes: 1e6 }).reserve(BYTES);
const held = consumer.reserve(BYTES);
const counter = new Counter();

const OPERATIONS = {
  'bare counter: take and give': (n) => {
    for (let i = 0; i < n; i++) if (counter.tryTake(BYTES)) counter.give(BYTES);
  },
  'tryReserve and dispose': (n) => {
    for (let i = 0; i < n; i++) consumer.tryReserve(BYTES)?.[Symbol.dispose]();
  },
  'tryGrow and shrink': (n) => {
    for (let i = 0; i < n; i++) if (held.tryGrow(BYTES)) held.shrink(BYTES);
  },
  shouldShed: (n) => {
    for (let i = 0; i < n; i++) if (governor.shouldShed('http.accept')) throw new Error('shed');
  },
  'one sample': (n) => {
    for (let i = 0; i < n; i++) governor.sample();
  },
  'snapshot, 20 consumers': (n) => {
    for (let i = 0; i < n; i++) governor.snapshot();
  },
};

const operate = OPERATIONS[name];
operate(Math.ceil(count / 4));
operate(Math.ceil(count / 4));
gc();
const measured = Math.min(MEASURED, count);
const before = process.memoryUsage().heapUsed;
operate(measured);
const bytesEach = (process.memoryUsage().heapUsed - before) / measured;
const started = performance.now();
operate(count);
const elapsedMs = performance.now() - started;
console.log(JSON.stringify({ elapsedMs, nsEach: (elapsedMs * 1e6) / count, bytesEach: Math.max(0, bytesEach) }));
