import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { startProgram } from './background-program.ts';
import { freePort } from './free-port.ts';
import { demand, demandEqual, type Gate, seconds } from './gate.ts';
import { nextRecipe } from './recipe-next.ts';
import { runProgram } from './run-program.ts';
import { installShelf, SHELF_DIR } from './shelf.ts';

type Recipe = (say: (line: string) => void) => Promise<string>;

/** Each against the real package, and the library as it is built. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  nest: nestRecipe,
  keyv: keyvRecipe,
  bullmq: bullmqRecipe,
  next: nextRecipe,
};

export const recipesGate: Gate = {
  name: 'recipes',
  promise:
    'Nest, Keyv 6, BullMQ on a real Redis and a built Next.js application work under the line as the recipes say',
  async run(say) {
    await installShelf(say);
    const figures: string[] = [];
    for (const [name, recipe] of Object.entries(RECIPES)) {
      const started = performance.now();
      figures.push(await recipe(say));
      say(`${name} (${seconds(performance.now() - started)})`);
    }
    return figures.join('; ');
  },
};

/** Runs `test/shelf/recipes/NAME.mjs`, which prints what it found as JSON. */
async function runRecipe<Found>(name: string, args: readonly string[] = []): Promise<Found> {
  const script = join(SHELF_DIR, 'recipes', `${name}.mjs`);
  return JSON.parse(await runProgram(process.execPath, [script, ...args], SHELF_DIR)) as Found;
}

async function nestRecipe(): Promise<string> {
  const { handed, own } = await runRecipe<Record<'handed' | 'own', Record<string, unknown>>>('nest');
  const answer = { status: 200, level: 'optimal', limitBytes: 2 ** 30 };
  demandEqual('Nest with a governor of ours', handed, { ...answer, mode: 'observe', disposed: false });
  demandEqual('Nest with one of its own', own, { ...answer, mode: 'off', disposed: true });
  return 'nest: injected, answers, disposes its own';
}

async function keyvRecipe(): Promise<string> {
  demandEqual('Keyv 6', await runRecipe<Record<string, unknown>>('keyv-6'), {
    set: true,
    get: 'Ada',
    many: 'true,true',
    getMany: '[2,null,null]',
    has: 'true,false',
    iterated: '1,2',
    delete: 'true,false',
    tooLarge: false,
    left: 1,
    withinBytes: true,
    heldAtTheEnd: 0,
    errors: '',
  });
  return 'keyv 6: as Keyv 5';
}

interface BullmqFound {
  readonly calm: number;
  readonly under: { readonly level: string; readonly concurrency: number };
  readonly pressed: number;
  readonly again: number;
  readonly done: number;
  readonly failures: string;
}

async function bullmqRecipe(say: (line: string) => void): Promise<string> {
  const command = onPath('redis-server');
  if (command === undefined) {
    say('bullmq is passed over: there is no redis-server here (Debian: apt-get install redis-server)');
    return 'bullmq: not run, no redis-server';
  }
  const port = String(await freePort());
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
  const redis = await startProgram({ command, args, cwd: tmpdir(), ready: /Ready to accept connections/ });
  try {
    const found = await runRecipe<BullmqFound>('bullmq', [port]);
    const { calm, under, pressed, again, done } = found;
    demandEqual('BullMQ', { ...found, under: under.level }, { under: 'critical', failures: '', done: 150 });
    demandEqual('jobs at a time', { calm, pressed, again }, { calm: 8, pressed: 2, again: 8 });
    return `bullmq: ${calm} jobs at a time, ${pressed} at critical, ${again} again, ${done} done`;
  } finally {
    const how = await redis.stop();
    demand(how === 0, `redis-server ended with ${how}`);
  }
}

function onPath(name: string): string | undefined {
  const dirs = (process.env.PATH ?? '').split(delimiter);
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
}
