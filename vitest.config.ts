import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Some hundreds of processes are started, by Vitest and by tests: what one of them has compiled, and stripped of its types, the next need not. `npm ci` takes it away.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules', '.cache', 'compiled');

// Tests import `plimsoll/...` as any user does; the `source` condition points those imports into src/.
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['test/**/*.test.ts', 'apps/*/test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    execArgv: ['--conditions=source', '--expose-gc'],
  },
});
