import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with the plugins that come with the library; undefined when they have not been built (`npm run build:plugins`). */
export function bundledPluginsDir(): string | undefined {
  const dir = join(dirname(fileURLToPath(import.meta.resolve('plimsoll/package.json'))), 'plugins', 'dist');
  return existsSync(dir) ? dir : undefined;
}
