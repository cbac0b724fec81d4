import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { findBrowser, openBrowser } from '../dashboard/browser.ts';
import { CutProxy } from '../dashboard/cut-proxy.ts';
import { DashboardChild } from '../dashboard/dashboard-child.ts';
import { attributesOf, axeFaults, canvasesOf, textsOf, widthOf } from '../dashboard/page-checks.ts';
import { demand, type Gate, GateSkipped } from './gate.ts';

const MiB = 2 ** 20;
const TOKEN = 'correct-horse-battery';
const CHARTS = ['memory-chart', 'consumer-chart', 'pressure-chart', 'collection-chart'];
/** Of a chart's pixels, at least so many are drawn on: lines, axes, bands. */
const LEAST_DRAWN = 0.01;
const LEAST_COLOURS = 12;
const MOST_WAVE_MS = 1_000;
const LOOKS = [
  { name: 'light', colorScheme: 'light', width: 1_280 },
  { name: 'dark', colorScheme: 'dark', width: 1_280 },
  { name: 'phone', colorScheme: 'light', width: 360 },
  { name: 'dark phone', colorScheme: 'dark', width: 360 },
] as const;

/** The page in a real browser, against a process of its own. */
export const dashboardGate: Gate = {
  name: 'dashboard',
  promise:
    'in a real browser the charts draw, a wave of pressure shows within a second, history survives a lost connection, the buttons work, and axe finds nothing',
  async run(say) {
    if (findBrowser() === undefined) {
      throw new GateSkipped('there is no chromium on this machine: apt-get install --no-install-recommends chromium');
    }
    const snapshotFolder = mkdtempSync(join(tmpdir(), 'plimsoll-gate-'));
    try {
      using child = await DashboardChild.start({ token: TOKEN, title: 'gate', snapshotFolder });
      using proxy = await CutProxy.open(child.port);
      await using browser = await openBrowser();
      const watched = await openPage(browser, `http://127.0.0.1:${proxy.port}/`, LOOKS[0]);
      const { page, errors } = watched;
      const points = await keepsHistory(page, proxy, child);
      say(`${points} points without a gap across a lost connection`);
      await chartsDraw(page);
      await levelsAreTheGovernors(page);
      const waveMs = await waveShows(page, child);
      say(`a wave shows after ${waveMs.toFixed(0)} ms`);
      await keyboardWorks(page);
      await buttonsWork(page, child, snapshotFolder);
      say('collection, reclaim and heap snapshot work with the token, and the snapshot is refused without room');
      const looked = await nothingIsWrong(browser, `http://127.0.0.1:${proxy.port}/`);
      // The browser itself writes a line for each connection that was cut, and for each answer that is an error.
      const own = errors.filter((line) => !/net::ERR_|status of 4\d\d/.test(line));
      demand(own.length === 0, `the page has errors in its console: ${own.join('; ')}`);
      using next = await DashboardChild.start({ token: TOKEN, title: 'gate' });
      const [pid] = await textsOf(page, '#process');
      proxy.cut();
      proxy.mend(next.port);
      await until('the page shows the process that was started again', async () => {
        return (
          (await page.locator('#link').getAttribute('data-state')) === 'live' &&
          (await textsOf(page, '#process'))[0] !== pid
        );
      });
      return `${points} points across a cut, ${CHARTS.length} charts drawn, wave after ${waveMs.toFixed(0)} ms, axe content in ${looked.join(', ')}`;
    } finally {
      rmSync(snapshotFolder, { recursive: true, force: true });
    }
  },
};

async function openPage(
  browser: Browser,
  url: string,
  look: (typeof LOOKS)[number],
): Promise<{ page: Page; errors: string[] }> {
  const { colorScheme, width } = look;
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(url);
  await page.locator('#link[data-state="live"]').waitFor({ timeout: 10_000 });
  await page.locator('#consumers tbody tr').first().waitFor({ timeout: 10_000 });
  return { page, errors };
}

/** The page's own policy lets no test in that is a text. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    demand(performance.now() < end, `it does not come to it that ${what}`);
    await sleep(30);
  }
}

/** With at most a dozen points the table of a chart has one row for each. */
async function keepsHistory(page: Page, proxy: CutProxy, child: DashboardChild): Promise<number> {
  await page.locator('#memory-chart summary').click();
  const rows = '#memory-chart tbody tr';
  await until('there are two points', async () => (await textsOf(page, rows)).length >= 2);
  const [first] = (await textsOf(page, `${rows} th`)).reverse();
  proxy.cut();
  await page.locator('#link[data-state="lost"]').waitFor({ timeout: 5_000 });
  await sleep(1_500);
  proxy.mend(child.port);
  await page.locator('#link[data-state="live"]').waitFor({ timeout: 8_000 });
  await sleep(300);
  const times = (await textsOf(page, `${rows} th`)).reverse();
  demand(times[0] === first, `the history began at ${first} and begins at ${times[0]} after the connection was lost`);
  const seconds = times.map((time) => time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0));
  const gap = Math.max(...seconds.slice(1).map((at, i) => (at - seconds[i]! + 86_400) % 86_400));
  demand(gap <= 2, `there is a gap of ${gap} s in the history: ${times.join(' ')}`);
  await page.locator('#memory-chart summary').click();
  return times.length;
}

async function chartsDraw(page: Page): Promise<void> {
  const canvases = await canvasesOf(page);
  for (const chart of CHARTS) {
    const canvas = canvases.find(({ where }) => where === chart);
    demand(canvas !== undefined, `there is no ${chart}`);
    const { pixels, drawn, colours } = canvas;
    demand(
      drawn > pixels * LEAST_DRAWN && colours >= LEAST_COLOURS,
      `${chart} is empty: ${drawn} of ${pixels} pixels in ${colours} colours`,
    );
  }
}

/** Marks on each meter, in thousandths of its limit. */
async function levelsAreTheGovernors(page: Page): Promise<void> {
  const marks = await attributesOf(page, '#meters .tick', 'x1');
  demand(
    marks.length >= 16 && marks.every((mark, i) => Number(mark) === [400, 700, 850, 950][i % 4]),
    `the levels of the meters begin at ${marks.join(', ')}`,
  );
}

/** From the moment at which the process holds more to the word in the head of the page. */
async function waveShows(page: Page, child: DashboardChild): Promise<number> {
  await child.hold(8 * MiB);
  await page.locator('#level[data-level="optimal"]').waitFor({ timeout: 5_000 });
  const started = performance.now();
  await child.hold(400 * MiB);
  await page.locator('#level:not([data-level="optimal"])').waitFor({ timeout: 5_000 });
  const waveMs = performance.now() - started;
  demand(waveMs < MOST_WAVE_MS, `the wave shows after ${waveMs.toFixed(0)} ms`);
  await child.hold(8 * MiB);
  return waveMs;
}

async function keyboardWorks(page: Page): Promise<void> {
  const button = page.locator('#consumers button', { hasText: 'held' });
  await button.focus();
  await page.keyboard.press('Enter');
  await page.locator('#detail').waitFor();
  demand((await textsOf(page, '#detail-title'))[0] === 'History of held', 'the history of the consumer is not shown');
  demand((await page.evaluate('document.activeElement.id')) === 'detail', 'the history has not got the focus');
  await page.locator('#detail-chart canvas').waitFor();
  await page.keyboard.press('Escape');
  demand(await page.locator('#detail').isHidden(), 'Escape does not close the history');
  const focused = await page.evaluate('document.activeElement.textContent');
  demand(focused === 'held', `the focus is on ${focused} when the history is closed`);
}

async function buttonsWork(page: Page, child: DashboardChild, folder: string): Promise<void> {
  const answer = page.locator('#act .answer');
  const says = async (text: RegExp) => {
    await until(`the button says ${text}`, async () => text.test((await answer.textContent()) ?? ''));
  };
  await page.fill('#act-token', 'not-the-token');
  await page.click('#act button[type="submit"]');
  await says(/^Not done: the token is wrong/);
  await page.fill('#act-token', TOKEN);
  await page.click('#act button[type="submit"]');
  await page.locator('#collect').waitFor();
  await page.click('#collect');
  await says(/^Collected in /);
  await page.selectOption('#strategy', 'basic');
  await page.click('#reclaim');
  await says(/claimed, .* released, .* observed\.$/);
  await page.locator('#journal tbody tr').first().waitFor();
  await page.click('#heap-snapshot');
  await says(/\.heapsnapshot\.$/);
  demand(readdirSync(folder).length === 1, 'there is no heap snapshot in its folder');
  await child.hold(400 * MiB);
  await page.click('#heap-snapshot');
  await says(/^Not done: a heap snapshot needs /);
  await child.hold(8 * MiB);
  demand(readdirSync(folder).length === 1, 'a heap snapshot was written without room');
  await page.click('#logout');
  await page.locator('#act-token').waitFor();
}

async function nothingIsWrong(browser: Browser, url: string): Promise<string[]> {
  for (const look of LOOKS) {
    const { page, errors } = await openPage(browser, url, look);
    await page.fill('#act-token', TOKEN);
    await page.click('#act button[type="submit"]');
    await page.locator('#collect').waitFor();
    await page.locator('#consumers button').first().click();
    await sleep(300);
    await chartsDraw(page);
    const faults = await axeFaults(page);
    demand(faults.length === 0, `axe, ${look.name}: ${faults.join('; ')}`);
    const width = await widthOf(page);
    demand(width <= look.width, `${look.name}: the page is ${width} wide, the window ${look.width}`);
    demand(errors.length === 0, `${look.name}: errors in the console: ${errors.join('; ')}`);
    await page.context().close();
  }
  return LOOKS.map(({ name }) => name);
}
