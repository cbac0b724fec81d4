/** Makes the pictures of the documentation: `npm run screenshots`. Wants a chromium on the machine; writes into `docs/`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderPage } from '../src/cli/render.ts';
import { RunRecorder } from '../src/cli/run-recorder.ts';
import { topPage } from '../src/cli/top-page.ts';
import { findBrowser, openBrowser } from '../test/dashboard/browser.ts';
import { Scene } from '../test/dashboard/scene.ts';
import { terminalPicture } from './terminal-picture.ts';

const TOKEN = 'shown-to-nobody';
const DOCS = join(import.meta.dirname, '../docs');
/** The seconds of the scene at which the terminal is drawn: in the middle of a wave. */
const WAVE_AT = 508;
const COLUMNS = 88;
const SHOTS = [
  { name: 'dashboard-light', colorScheme: 'light', width: 1_280, height: 1_180 },
  { name: 'dashboard-dark', colorScheme: 'dark', width: 1_280, height: 1_180 },
  { name: 'dashboard-phone', colorScheme: 'light', width: 360, height: 780 },
] as const;

if (findBrowser() === undefined)
  throw new Error('There is no chromium: apt-get install --no-install-recommends chromium');
const folder = process.argv[2] ?? DOCS;
mkdirSync(folder, { recursive: true });
await using scene = new Scene(TOKEN);
const recorder = new RunRecorder(process.pid);
scene.feed.subscribe((look) => recorder.note(look));
await scene.play(WAVE_AT);
drawTop();
await scene.play();
await using address = await scene.dashboard.listen({ port: 0 });
await using browser = await openBrowser();
for (const { name, colorScheme, width, height } of SHOTS) {
  await using context = await browser.newContext({ colorScheme, viewport: { width, height }, timezoneId: 'UTC' });
  const page = await context.newPage();
  await page.goto(address.url);
  await page.fill('#act-token', TOKEN);
  await page.click('#act button[type="submit"]');
  await page.locator('#collect').waitFor();
  await page.locator('#journal tbody tr').first().waitFor();
  await page.waitForTimeout(400);
  // Nothing has the focus in a picture.
  await page.evaluate('document.activeElement?.blur(); scrollTo(0, 0)');
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, fullPage: process.argv.includes('--full') });
  console.log(path);
}

/** What `plimsoll top` shows of the same process. */
function drawTop(): void {
  const page = topPage(recorder.last!, recorder, 'shop-api');
  const path = join(folder, 'plimsoll-top.svg');
  writeFileSync(path, terminalPicture(renderPage(page, { width: COLUMNS, colour: true }), COLUMNS));
  console.log(path);
}
