/** What a request of a cache costs beside other caches, and what an entry takes: in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR, installRivals } from '../measure.ts';
import { table, times, writeSection } from '../results-file.ts';

/** `CACHE_ROUNDS` makes it shorter, or longer. */
const ROUNDS = Number(process.env.CACHE_ROUNDS ?? 3);
const SCRIPT = join(BENCH_DIR, 'subjects', 'cache-ops.mjs');
const KEYS = ['integer', 'short text', 'flat text', 'text', 'new text'] as const;
const OURS = 'plimsoll lru';
const RIVALS = ['lru-cache', 'mnemonist LRUMap', 'lru.min', 'tiny-lru'] as const;

interface Run {
  readonly hitNs: number;
  readonly getSetNs: number;
  readonly bytesEach: number;
}

export async function benchCacheSpeed(): Promise<void> {
  installRivals();
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const sort of KEYS) for (const subject of [OURS, ...RIVALS]) runOne(runs, subject, sort);
    for (const subject of ['plimsoll tiny-lfu', 'plimsoll lfu']) runOne(runs, subject, 'integer');
  }
  const middle = (subject: string, sort: string, figure: keyof Run): number =>
    median(runs.get(`${subject}|${sort}`)!.map((run) => run[figure]));
  const spread = (subject: string, sort: string, figure: keyof Run): string => {
    const values = runs.get(`${subject}|${sort}`)!.map((run) => run[figure]);
    return `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
  };
  const rows = KEYS.flatMap((sort) => {
    const best = (figure: keyof Run) => Math.min(...RIVALS.map((rival) => middle(rival, sort, figure)));
    return [OURS, ...RIVALS].map((subject) => [
      `${sort}: ${subject}`,
      ...(['hitNs', 'getSetNs'] as const).flatMap((figure) => [
        `${middle(subject, sort, figure).toFixed(0)} ns (${spread(subject, sort, figure)})`,
        times(best(figure) / middle(subject, sort, figure)),
      ]),
      middle(subject, sort, 'bytesEach').toFixed(0),
    ]);
  });
  const others = ['plimsoll tiny-lfu', 'plimsoll lfu'].map((subject) => [
    subject,
    `${middle(subject, 'integer', 'hitNs').toFixed(0)} ns`,
    `${middle(subject, 'integer', 'getSetNs').toFixed(0)} ns`,
    middle(subject, 'integer', 'bytesEach').toFixed(0),
  ]);
  writeSection({
    id: 'cache-speed',
    title: 'Caches beside each other',
    command: 'npm run bench -- cache speed',
    body: `100,000 entries, a million keys by Zipf (0.99). Medians of ${ROUNDS} fresh processes in turn, with least and most, of the processor's time for a request; each process takes the best of 3 times 500,000, of 8 where all hit.
\`get\` of what is there, and \`get\` with \`set\` where it missed, 26% of them. Speed is of the fastest rival's: 1 is as fast, more is faster. Bytes are what an entry takes besides key and value after 2.5 million requests, in the heap
and off it; of new texts with the key. Texts: \`key:123\` (short), \`user:123:profile\` as read from a buffer (flat), put together by a template once for all requests (V8 keeps a rope), and put together
anew for each request (new).

${table(['', 'get that hits', 'speed', 'get and set', 'speed', 'bytes an entry'], rows)}

${table(['integer keys', 'get', 'get and set', 'bytes an entry'], others)}`,
  });
}

function runOne(runs: Map<string, Run[]>, subject: string, sort: string): void {
  const args = ['--conditions=source', '--expose-gc', SCRIPT, subject, sort];
  const text = execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
  const key = `${subject}|${sort}`;
  runs.set(key, [...(runs.get(key) ?? []), JSON.parse(text) as Run]);
  console.log(`  ${sort}, ${subject}: ${text.trim()}`);
}
