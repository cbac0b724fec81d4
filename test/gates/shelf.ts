import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages } from './run-program.ts';

/** Where programs and frameworks from the shelf are installed: apart from the project's own `node_modules`. */
export const SHELF_DIR = join(import.meta.dirname, '..', 'shelf');

/** Installs the packages of `test/shelf/package.json` unless each is there in the version that it names. Resolves to `SHELF_DIR`. */
export async function installShelf(say: (line: string) => void): Promise<string> {
  const { dependencies } = readPackage(SHELF_DIR) as { dependencies: Readonly<Record<string, string>> };
  const missing = Object.entries(dependencies).filter(([name, version]) => installedVersion(name) !== version);
  if (missing.length > 0) {
    say(`installing ${missing.map(([name]) => name).join(', ')} from npm`);
    await installPackages(SHELF_DIR);
  }
  return SHELF_DIR;
}

function installedVersion(name: string): string | undefined {
  try {
    return (readPackage(join(SHELF_DIR, 'node_modules', name)) as { version: string }).version;
  } catch {
    return undefined;
  }
}

const readPackage = (dir: string): unknown => JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
