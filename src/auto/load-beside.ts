import { createRequire } from 'node:module';

/**
 * Loads a file of this room at once, when it is first needed: what most processes never need costs them nothing so. By `require`, because `import()` would come too
 * late, after the program has begun.
 */
export function loadBeside<T>(name: string): T {
  const { url } = import.meta;
  return createRequire(url)(`./${name}${url.endsWith('.ts') ? '.ts' : '.js'}`) as T;
}
