// Resources under one roof: bytes for each that is there, and time for registering with releasing, and for a touch.
import { LeakTracker } from 'plimsoll';
import { ResourceRegistry } from 'plimsoll/lifetime';

const [name, count] = [process.argv[2], Number(process.argv[3])];
const KINDS = ['file', 'socket', 'buffer'];
/** Right behind a step of the arrays' growth, where most of them is empty. */
const GROWN = 106_710;
const names = Array.from({ length: Math.max(GROWN, count) }, (_, i) => `resource ${i}`);
const value = {};
const dispose = () => {};
const kept = new Array(names.length).fill(undefined);

/** What a program of its own would do: an object each, in a Map by number. */
class PlainMap {
  #entries = new Map();
  #next = 0;

  add(i) {
    const id = this.#next++;
    const lastUse = performance.now();
    this.#entries.set(id, { name: names[i], kind: KINDS[i % 3], bytes: 64 + i, priority: 1, lastUse, value, dispose });
    return id;
  }

  touch(id) {
    this.#entries.get(id).lastUse = performance.now();
  }

  release(id) {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    entry.dispose(entry.value);
  }
}

class Registry {
  #registry;
  #verb;

  constructor(verb, level) {
    const leakTracker = level && new LeakTracker({ level });
    this.#verb = verb;
    const bounds = { name: 'bench', maxCount: 1_000_000, maxBytes: 1e12 };
    this.#registry = new ResourceRegistry({ ...bounds, ...(leakTracker && { leakTracker }) });
  }

  add(i) {
    const resource = { name: names[i], kind: KINDS[i % 3], bytes: 64 + i, value, dispose };
    return this.#verb === 'add' ? this.#registry.add(resource) : this.#registry.register(resource);
  }

  touch(id) {
    if (this.#verb === 'add') this.#registry.touch(id);
    else id.touch();
  }

  release(id) {
    if (this.#verb === 'add') void this.#registry.release(id);
    else void id.release();
  }
}

const SUBJECTS = {
  'a Map and an object': () => new PlainMap(),
  'registry, by id': () => new Registry('add'),
  'registry, handles kept': () => new Registry('register'),
  'the same, tracker off': () => new Registry('register', 'off'),
  'the same, tracker simple': () => new Registry('register', 'simple'),
  'the same, tracker paranoid': () => new Registry('register', 'paranoid'),
};

const used = () => {
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
/** Between parts: what waits for a promise goes on. */
const pause = () => new Promise((resolve) => setImmediate(resolve));

async function churn(subject, times) {
  const started = performance.now();
  for (let i = 0; i < times; i++) {
    const id = subject.add(i % count);
    subject.release(id);
    if (i % 1_000 === 999) await pause();
  }
  return ((performance.now() - started) * 1e6) / times;
}

function touchAll(subject, times) {
  const started = performance.now();
  for (let i = 0; i < times; i++) subject.touch(kept[(i * 7919) % count]);
  return ((performance.now() - started) * 1e6) / times;
}

// Warm, and not the one that is weighed.
const warm = SUBJECTS[name]();
await churn(warm, Math.min(count, 20_000));
function weigh(many) {
  const before = used();
  const subject = SUBJECTS[name]();
  for (let i = 0; i < many; i++) kept[i] = subject.add(i);
  return { subject, bytesEach: (used() - before) / many };
}

const { bytesEach: mostBytesEach } = name.endsWith('paranoid') ? { bytesEach: undefined } : weigh(GROWN);
kept.fill(undefined);
const { subject, bytesEach } = weigh(count);
touchAll(subject, count);
const touchNs = touchAll(subject, count);
await churn(subject, count / 4);
const churnNs = await churn(subject, count);
console.log(JSON.stringify({ elapsedMs: 0, bytesEach, mostBytesEach, churnNs, touchNs }));
