import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Some hundreds of processes are started, by Vitest and by tests: what one of them has compiled, and stripped of its types, the next need not. `npm ci` takes it away.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules', '.cache', 'compiled');

/**
 * Tests that look at the memory of their process, change it, govern it, start others or replace modules have one of their own. The rest of a room shares one, which takes
 * a third less processor time. All rooms in one would take more than none: a heap that only grows is what every later collection has to walk.
 */
const NEEDS_ITS_OWN =
  /spawn|fork\(|execFile|new Worker|process\.(chdir|env\.|umask|on\()|vi\.(mock|useFake)|gc[!?]?\.?\(|memoryUsage|heapUsed|HeapStat|HeapSnapshot|FinalizationRegistry|WeakRef|createGovernor\(|ProcessGovernor|generate\(|\/auto\//;
const LEAST_TO_SHARE = 3;

/** `*.slow.test.ts` are not in `npm test`, but in the gates of `npm run verify`, which say `only` or `too`. */
const SLOW = process.env.PLIMSOLL_SLOW_TESTS;
const isWanted = (path: string): boolean => SLOW === 'too' || path.endsWith('.slow.test.ts') === (SLOW === 'only');

const alone: string[] = [];
const rooms = new Map<string, string[]>();
for (const path of globSync(['test/**/*.test.ts', 'apps/*/test/**/*.test.ts'], { cwd: import.meta.dirname })) {
  if (path.includes('node_modules') || !isWanted(path)) continue;
  if (NEEDS_ITS_OWN.test(readFileSync(join(import.meta.dirname, path), 'utf8'))) alone.push(path);
  else rooms.set(dirname(path), [...(rooms.get(dirname(path)) ?? []), path]);
}
const shared = [...rooms].filter(([, files]) => files.length >= LEAST_TO_SHARE);
for (const [, files] of rooms) if (files.length < LEAST_TO_SHARE) alone.push(...files);

// Tests import `plimsoll/...` as any user does; the `source` condition points those imports into src/.
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    execArgv: ['--conditions=source', '--expose-gc'],
    projects: [
      { extends: true, test: { name: 'alone', include: alone } },
      ...shared.map(([room, include]) => ({ extends: true as const, test: { name: room, include, isolate: false } })),
    ],
  },
});
