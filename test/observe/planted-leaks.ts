/** Programs that leak in a known way, and one that does not, for the leak finder. All sizes, noise and order come from a seed. */
import { EventEmitter } from 'node:events';
import type { LeakKind, LeakReport, LeakSuspect } from 'plimsoll/observe';

export const LEAKS = ['listener', 'cache', 'timer', 'closure', 'buffer'] as const;
export type Leak = (typeof LEAKS)[number];

/** From 0 up to 1: a seed gives the same row each time (Lehmer, as Park and Miller have it). */
export function seededRandom(seed: number): () => number {
  let state = (seed * 48_271 + 11) % 2_147_483_647;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state - 1) / 2_147_483_646;
  };
}

class LeakyEmitter extends EventEmitter {}
class CacheEntry {
  readonly id: number;
  readonly text: string;
  constructor(id: number, text: string) {
    this.id = id;
    this.text = text;
  }
}
class Session {
  readonly id: number;
  readonly tags: readonly string[];
  constructor(id: number) {
    this.id = id;
    this.tags = [`session ${id}`, `of ${id % 7}`];
  }
}
class Job {
  readonly payload: readonly number[];
  constructor(size: number) {
    this.payload = Array.from({ length: size }, (_, index) => index / 3);
  }
}

type Work = (round: number) => void;

const between = (random: () => number, least: number, most: number): number =>
  Math.floor(least + random() * (most - least + 1));

/** Something that leaks each time: about as much, give or take a fifth. */
function plant(leak: Leak, random: () => number): Work {
  const size = between(random, 120, 300);
  const count = () => Math.round(size * (0.8 + 0.4 * random()));
  const times = (action: (index: number) => void) => () => {
    for (let n = count(); n > 0; n--) action(n);
  };
  switch (leak) {
    case 'listener': {
      const emitter = new LeakyEmitter().setMaxListeners(0);
      const onTick = () => {};
      // The same function again, or a new one each time.
      const isSame = random() < 0.5;
      return keep(
        emitter,
        times((index) => emitter.on('tick', isSame ? onTick : () => index)),
      );
    }
    case 'cache': {
      const cache = new Map<string, CacheEntry>();
      let next = 0;
      const put = () => cache.set(`key ${next}`, new CacheEntry(next++, `what belongs to ${next} `.repeat(4)));
      return keep(cache, times(put));
    }
    case 'timer':
      return times((index) => {
        setInterval(() => index, 1_000_000);
      });
    case 'closure': {
      const callbacks: (() => unknown)[] = [];
      return keep(
        callbacks,
        times((index) => callbacks.push(rememberedCallback(index))),
      );
    }
    case 'buffer': {
      // A few bytes of each, cut out, hold all of it; or the memory was moved out of the buffer that the program knows.
      const kept: unknown[] = [];
      const bytes = between(random, 4, 32) * 1_024;
      const isMoved = random() < 0.5;
      return keep(kept, () => {
        for (let n = Math.ceil(count() / 10); n > 0; n--) {
          kept.push(isMoved ? new ArrayBuffer(bytes).transfer() : Buffer.alloc(bytes).subarray(0, 8));
        }
      });
    }
  }
}

/** Held as long as the work is. */
function keep(held: unknown, work: Work): Work {
  return Object.assign((round: number) => work(round), { held });
}

function rememberedCallback(index: number): () => unknown {
  const request = { index, body: `the body of request ${index}` };
  return function rememberedCallback() {
    return request;
  };
}

/** What a sound program does: much comes and goes, a cache fills up to its bound and then replaces, and the first rounds do more than the others. */
function noise(random: () => number): Work[] {
  const emitter = new EventEmitter();
  const cache = new Map<number, Session>();
  const bound = between(random, 300, 900);
  const perRound = Math.ceil(bound / between(random, 1, 3));
  const queue: Job[] = [];
  const warmed: string[] = [];
  const buffers: Buffer[] = [];
  let next = 0;
  return [
    () => {
      for (let n = 0; n < perRound; n++) {
        cache.set(next, new Session(next));
        next++;
        if (cache.size > bound) cache.delete(cache.keys().next().value!);
      }
    },
    () => {
      const target = between(random, 0, 200);
      while (queue.length < target) queue.push(new Job(between(random, 1, 60)));
      while (queue.length > target) queue.shift();
    },
    () => {
      const listeners = Array.from({ length: 9 }, (_, index) => () => index);
      for (const listener of listeners) emitter.on('request', listener);
      for (const listener of listeners) emitter.off('request', listener);
    },
    () => {
      for (let n = between(random, 5, 50); n > 0; n--) clearTimeout(setTimeout(() => n, 1_000_000));
    },
    () => {
      while (buffers.length > 0) buffers.pop();
      for (let n = between(random, 0, 12); n > 0; n--) buffers.push(Buffer.alloc(8_192));
    },
    (round) => {
      for (let n = 0; n < 400 / round ** 2; n++) warmed.push(`made ready at the start: ${n} of ${round}`);
    },
    () => {
      let text = '';
      for (let n = 0; n < 2_000; n++) text = `${text.slice(-40)} ${n}`;
      if (text === '') throw new Error('nothing was written');
    },
  ];
}

/** One round of a program: what leaks and what does not, in an order of its own. */
export function program(leaks: readonly Leak[], seed: number): Work {
  const random = seededRandom(seed);
  const works = [...noise(random), ...leaks.map((leak) => plant(leak, random))];
  return (round) => {
    const order = works.map((work) => ({ work, place: random() })).toSorted((a, b) => a.place - b.place);
    for (const { work } of order) work(round);
  };
}

/** What the finder must name, for each. */
export const NAMED: Readonly<Record<Leak, { readonly kind: LeakKind; readonly what: string }>> = {
  listener: { kind: 'listeners', what: "'tick' of LeakyEmitter" },
  cache: { kind: 'constructor', what: 'CacheEntry' },
  timer: { kind: 'resource', what: 'Timeout' },
  closure: { kind: 'function', what: 'rememberedCallback' },
  buffer: { kind: 'buffers', what: 'ArrayBuffer' },
};

/** What everything is made of: it grows with each leak. */
const STUFF =
  /^(\(string\)|\(array\)|\(number\)|\(anonymous\)|Array|Object|Map|Buffer|ArrayBuffer|Timeout|system \/ Context)$/;

/** Which of the leaks a report names, and what it names beside them that none of them explains. */
export function verdictOn({ suspects }: LeakReport, leaks: readonly Leak[]): { found: Leak[]; invented: string[] } {
  const isNamed = (leak: Leak, { kind, what }: LeakSuspect) => NAMED[leak].kind === kind && NAMED[leak].what === what;
  const found = leaks.filter((leak) => suspects.some((suspect) => isNamed(leak, suspect)));
  const invented = suspects.filter(
    (suspect) =>
      leaks.length === 0 ||
      !(leaks.some((leak) => isNamed(leak, suspect)) || STUFF.test(suspect.what) || suspect.within !== undefined),
  );
  return { found, invented: invented.map(({ kind, what }) => `${kind} ${what}`) };
}
