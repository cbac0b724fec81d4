import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export type PageFile = 'page.html' | 'page.js' | 'page.css';

/** Where `npm run build` puts the page: beside the built code, also for who runs the sources. */
const HERE = import.meta.dirname;
const FOLDER = basename(dirname(HERE)) === 'src' ? join(HERE, '../../dist/dashboard') : HERE;

/** The files of the page, read when they are first asked for: about 100 KB that stay. Undefined for one that is not there: the package was not built. */
export class PageFiles {
  readonly #kept = new Map<PageFile, Buffer>();

  read(file: PageFile): Buffer | undefined {
    try {
      const known = this.#kept.get(file) ?? readFileSync(join(FOLDER, file));
      this.#kept.set(file, known);
      return known;
    } catch {
      return undefined;
    }
  }
}
