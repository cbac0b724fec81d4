import { join } from 'node:path';

const here = import.meta.dirname;

export default {
  cacheHandler: join(here, 'cache-handler.mjs'),
  cacheHandlers: { default: join(here, 'use-cache-handler.mjs') },
  cacheMaxMemorySize: 0,
  experimental: { useCache: true },
  // The folder that has the packages as well as the app.
  turbopack: { root: process.env.RECIPE_ROOT },
};
