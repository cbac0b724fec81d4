import { defineConfig } from 'vitest/config';

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
