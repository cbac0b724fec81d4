import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { startProgram } from './background-program.ts';
import { freePort } from './free-port.ts';
import { demand, demandEqual } from './gate.ts';
import { runProgram } from './run-program.ts';
import { SHELF_DIR } from './shelf.ts';

const PROJECT_DIR = join(import.meta.dirname, '..', '..');
/** Of both handlers of the application. */
const MAX_BYTES = 2 ** 20;
const PAGES = 80;

interface Page {
  /** What Next.js says of its cache. */
  readonly cache: string | null;
  /** When the page, and what it is made of, were made. */
  readonly made: string | undefined;
  readonly data: string | undefined;
}

/** Builds the application of `test/shelf/recipes/next` with Next.js, starts it, and asks for pages until its caches are full. */
export async function nextRecipe(): Promise<string> {
  const dir = join(PROJECT_DIR, 'test', '.tmp', 'recipe-next');
  const log = join(dir, 'calls.log');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  cpSync(join(SHELF_DIR, 'recipes', 'next'), dir, { recursive: true });
  symlinkSync(join(SHELF_DIR, 'node_modules'), join(dir, 'node_modules'));
  const next = join(SHELF_DIR, 'node_modules', 'next', 'dist', 'bin', 'next');
  const env = { NEXT_TELEMETRY_DISABLED: '1', RECIPE_ROOT: PROJECT_DIR, RECIPE_LOG: log };
  try {
    await runProgram(process.execPath, [next, 'build'], dir, { ...env, RECIPE_LOG: undefined });
    const port = await freePort();
    const args = [next, 'start', '-p', String(port)];
    const server = await startProgram({ command: process.execPath, args, cwd: dir, env, ready: /Ready in/ });
    try {
      await askAll(`http://localhost:${port}`);
    } finally {
      await server.stop();
    }
    return readCalls(log);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function askAll(origin: string): Promise<void> {
  const ask = (path: string) => askPage(`${origin}${path}`);
  const revalidate = (query: string) => fetch(`${origin}/revalidate?${query}`, { method: 'POST' });

  const first = await ask('/posts/1');
  const second = await ask('/posts/1');
  demandEqual('a page asked for twice', { ...second, first: first.cache }, { ...first, cache: 'HIT', first: 'MISS' });
  await revalidate('tag=posts');
  const anew = await ask('/posts/1');
  demand(anew.made !== first.made && anew.data !== first.data, 'a tag revalidated at once did not make the page anew');
  await revalidate('tag=posts&profile=max');
  const stale = await ask('/posts/1');
  demandEqual('a page whose tag is out of date', { ...stale }, { ...anew, cache: 'STALE' });
  let refreshed = await ask('/posts/1');
  for (let i = 0; i < 200 && refreshed.made === anew.made; i++) refreshed = await ask('/posts/1');
  demandEqual(
    'a page that was made anew meanwhile',
    { cache: refreshed.cache, new: refreshed.made !== anew.made },
    { cache: 'HIT', new: true },
  );
  await revalidate('path=/posts/1');
  demand((await ask('/posts/1')).made !== refreshed.made, 'a path that was revalidated was not made anew');

  const used = await ask('/cached/1');
  demandEqual('use cache, asked twice', { ...(await ask('/cached/1')) }, { ...used });
  await revalidate('tag=made');
  const usedAnew = await ask('/cached/1');
  demand(usedAnew.made !== used.made, 'use cache: a tag that was revalidated was not made anew');
  await revalidate('path=/cached/1');
  demand((await ask('/cached/1')).made !== usedAnew.made, 'use cache: a path that was revalidated was not made anew');

  for (let i = 2; i < PAGES; i++) await Promise.all([ask(`/posts/${i}`), ask(`/cached/${i}`)]);
  demandEqual('the last page', { cache: (await ask(`/posts/${PAGES - 1}`)).cache }, { cache: 'HIT' });
  demandEqual('a page that had to go', { cache: (await ask('/posts/2')).cache }, { cache: 'MISS' });
}

async function askPage(url: string): Promise<Page> {
  const response = await fetch(url);
  const html = await response.text();
  demand(response.status === 200, `${url} answers ${response.status}: ${html.slice(0, 300)}`);
  const made = /id="made">([\d ]+)/.exec(html)?.[1];
  return { cache: response.headers.get('x-nextjs-cache'), made, data: /id="data">(\d+)/.exec(html)?.[1] };
}

/** What the handlers wrote down: each was asked, and held no more than it may. */
function readCalls(log: string): string {
  const calls = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown[]);
  const figures: string[] = [];
  for (const name of ['page', 'use cache']) {
    const own = calls.filter(([which]) => which === name);
    const sets = own
      .filter(([, verb]) => verb === 'set')
      .map((call) => call.at(-1) as { bytes: number; evicted: number });
    const most = Math.max(...sets.map(({ bytes }) => bytes));
    const evicted = sets.at(-1)?.evicted ?? 0;
    demand(most <= MAX_BYTES && evicted > 0, `${name}: held ${most} of ${MAX_BYTES} bytes, dropped ${evicted}`);
    figures.push(`${name} ${own.length} calls, ${evicted} dropped, at most ${most} of ${MAX_BYTES} bytes`);
  }
  return `next: ${figures.join('; ')}`;
}
