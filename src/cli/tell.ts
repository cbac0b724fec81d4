import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeCause } from '../describe-cause.ts';
import type { Page } from './page.ts';
import { jsonLines } from './plain-lines.ts';
import { renderPage } from './render.ts';
import { renderHtml } from './render-html.ts';
import { drawnOn, type Outlet, type Screen } from './screen.ts';
import { UsageError } from './usage-error.ts';

/** How a report is wanted. */
export interface Told {
  readonly json: boolean;
  /** A file for the page of a browser. */
  readonly html?: string;
  /** A file in place of the terminal: JSON where its name ends so or `json` says so, text otherwise. */
  readonly report?: string;
}

/** Writes a report wherever it is wanted. Throws `PLIMSOLL_USAGE` for a file that cannot be written; what else was wanted is written nevertheless. */
export function tell(data: unknown, page: Page, wanted: Told, { env }: Screen, outlet: Outlet): void {
  const { json, html, report } = wanted;
  const asJson = json || report?.endsWith('.json') === true;
  const drawn = report === undefined ? drawnOn(outlet, env) : {};
  try {
    const text = asJson ? jsonLines(data, report === undefined) : renderPage(page, drawn);
    if (report !== undefined) writeText(report, text);
    else outlet.write(text);
  } finally {
    if (html !== undefined) writeText(html, renderHtml(page));
  }
}

/** Sees to it, before there is anything to tell, that the files can be written. Makes none. Throws `PLIMSOLL_USAGE`. */
export function checkTargets({ html, report }: Told): void {
  for (const path of [report, html]) {
    if (path === undefined) continue;
    try {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory() === true) throw new Error('it is a folder');
      accessSync(found === undefined ? dirname(path) : path, constants.W_OK);
    } catch (cause) {
      throw cannotWrite(path, cause);
    }
  }
}

function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

const cannotWrite = (path: string, cause: unknown): UsageError =>
  new UsageError(`cannot write ${path}: ${describeCause(cause)}`, cause);
