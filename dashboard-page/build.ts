/**
 * Bundles the page of the dashboard into `dist/dashboard`: `npm run build:page`. One file of script, one of style, one of text; what they take from uPlot
 * stands there with its licence.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const HOME = import.meta.dirname;
const DIST = join(HOME, '../dist/dashboard');
const UPLOT = join(HOME, '../node_modules/uplot');

const bundle = await rolldown({ input: join(HOME, 'main.ts'), platform: 'browser' });
const { output } = await bundle.generate({ format: 'esm', minify: true });
await bundle.close();
const [{ code }] = output;
const licence = readFileSync(join(UPLOT, 'LICENSE'), 'utf8').trim().replaceAll('*/', '');
const notice = `/*! Contains uPlot.\n\n${licence}\n*/\n`;
const read = (path: string) => readFileSync(path, 'utf8');

mkdirSync(DIST, { recursive: true });
write('page.js', notice + code);
write('page.css', `${notice}${read(join(UPLOT, 'dist/uPlot.min.css'))}\n${read(join(HOME, 'page.css'))}`);
write('page.html', read(join(HOME, 'page.html')));

/** A server that reads meanwhile finds the old one or the new one. */
function write(name: string, text: string): void {
  const part = join(DIST, `.${name}.${process.pid}.part`);
  writeFileSync(part, text);
  renameSync(part, join(DIST, name));
}
