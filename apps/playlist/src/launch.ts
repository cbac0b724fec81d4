/**
 * Starting Node so that it fits under the line. V8 takes its heap limits when the process starts, and the C library its allocator's, so a
 * process that has read the limit must start anew. For maintainers:
 * - `execve` replaces the process in place: the pid stays, signals and streams need no forwarding, and no second Node is
 *   held in the container. Where it is missing (Windows), a child does the work and the parent forwards signals.
 * - Reading the command line and the configuration costs 30 MB of RSS for good (commander 9, smol-toml 4, zod 14: measured).
 *   So it is done before the replacement, and the result is handed over: the process that works never loads them.
 * - Measured on jobs of 40,000 and 500,000 channels, peak RSS: one malloc arena that gives free memory back from 64 KiB up saves 2 to 4 MB;
 *   without V8's middle compiler, 3 to 4 MB more; preferring small code, 2 MB more; where something is
 *   downloaded, undici's parser without WASM's optimizing compiler, 9 MB. None cost time beyond the noise. What
 *   did not pay: fewer threads in libuv's or V8's pool, a fixed mmap threshold, collecting on one thread.
 * - The handover travels in environment variables, in pieces below Linux's 128 KiB for one string; they are removed from
 *   `process.env` when taken. Whoever may read this process's environment may read its configuration file too.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { deriveHeapFlags, readLimits } from 'plimsoll';
import type { CommandLine } from './cli.ts';
import type { PlaylistConfig } from './config/config.ts';
import type { ConfigOverrides } from './config/load-config.ts';

const MARK = 'PLIMSOLL_LAUNCHED';
const PIECE = 'PLIMSOLL_HANDOVER_';
const PIECE_CHARACTERS = 30_000;
/** Far below the space Linux has for arguments and environment (a quarter of the stack limit, 2 MiB by default). */
const MAX_PIECES = 16;

/**
 * Below this limit a few megabytes, and a peak that is the same each time, matter more than a tenth of the speed: without V8's middle
 * compiler the main job peaks at 81 to 85 MiB, with it at 84 to 101.
 */
const SMALL_LIMIT_BYTES = 256 * 1024 ** 2;
const FRUGAL_FLAGS = ['--no-maglev', '--optimize-for-size', '--liftoff-only'];

/** What the first process found out. */
export interface Handover {
  readonly command: CommandLine;
  readonly config: PlaylistConfig;
}

export interface RelaunchOptions {
  readonly configFile: string;
  readonly overrides: ConfigOverrides;
  /** Handed over together with the configuration when given. */
  readonly command?: CommandLine;
}

let taken: Handover | undefined;

/**
 * What the process before this one handed over; undefined in the first process, and when the configuration was too large to
 * hand over. May be called any number of times.
 */
export function takeHandover(env: NodeJS.ProcessEnv = process.env): Handover | undefined {
  const pieces: string[] = [];
  for (let i = 0; i < MAX_PIECES && env[`${PIECE}${i}`] !== undefined; i++) {
    pieces.push(env[`${PIECE}${i}`]!);
    delete env[`${PIECE}${i}`];
  }
  if (pieces.length > 0 && isRelaunched(env)) taken = JSON.parse(pieces.join('')) as Handover;
  return taken;
}

/** True in the process that was started with fitting flags. The mark names the process, so it does not leak into children. */
export function isRelaunched(env: NodeJS.ProcessEnv = process.env): boolean {
  return env[MARK] === `pid ${process.pid}` || env[MARK] === `parent ${process.ppid}`;
}

/**
 * Starts Node anew, in place, with old space, semi-space and allocator settings derived from the memory limit: the smallest of
 * what is configured, the container and the machine. Returns at once in the process that was so started; in the first one it
 * never returns (in the fallback it ends the process with the child's exit code). A mistake in the configuration, or a limit too
 * small for Node, throws `ConfigError` before anything is started.
 */
export async function relaunchWithHeapFlags(options: RelaunchOptions): Promise<void> {
  if (isRelaunched()) return;
  const [{ loadConfig }, { ConfigError }] = await Promise.all([
    import('./config/load-config.ts'),
    import('./config/config-error.ts'),
  ]);
  const { configFile, overrides, command } = options;
  const config = loadConfig({ file: configFile, env: process.env, overrides });
  const limit = readLimits({ limitBytes: config.memory.limitBytes });
  let flags: readonly string[];
  try {
    flags = deriveHeapFlags(limit.bytes).flags;
  } catch (cause) {
    throw new ConfigError([`memory limit (${limit.path ?? limit.from}): ${(cause as Error).message}`], cause);
  }
  const frugal = limit.bytes < SMALL_LIMIT_BYTES ? FRUGAL_FLAGS : [];
  const args = [...process.execArgv.filter(isNotReplaced), ...flags, ...frugal, ...process.argv.slice(1)];
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith(PIECE));
  const env = {
    ...Object.fromEntries(inherited),
    ...allocatorSettings(process.env),
    ...(command && pack({ command, config })),
  };
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    process.execve(process.execPath, [process.execPath, ...args], { ...env, [MARK]: `pid ${process.pid}` });
  }
  await runChild(args, { ...env, [MARK]: `parent ${process.pid}` });
}

function isNotReplaced(argument: string): boolean {
  return !/^--(max[-_]old[-_]space[-_]size|max[-_]semi[-_]space[-_]size|expose[-_]gc)(=|$)/.test(argument);
}

/** What the user has set stays. */
function allocatorSettings(env: NodeJS.ProcessEnv): Record<string, string> {
  return {
    MALLOC_ARENA_MAX: env.MALLOC_ARENA_MAX ?? '1',
    MALLOC_TRIM_THRESHOLD_: env.MALLOC_TRIM_THRESHOLD_ ?? String(64 * 1024),
  };
}

/** Nothing when it is too large: then the next process reads the configuration itself. */
function pack(handover: Handover): Record<string, string> {
  const text = asciiJson(handover);
  const pieces: Record<string, string> = {};
  if (text.length > PIECE_CHARACTERS * MAX_PIECES) return pieces;
  for (let i = 0; i * PIECE_CHARACTERS < text.length; i++)
    pieces[`${PIECE}${i}`] = text.slice(i * PIECE_CHARACTERS, (i + 1) * PIECE_CHARACTERS);
  return pieces;
}

/** The environment carries UTF-8: half a surrogate pair, at the cut between two pieces, would arrive as U+FFFD. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

async function runChild(args: readonly string[], env: NodeJS.ProcessEnv): Promise<never> {
  const child = spawn(process.execPath, args, { stdio: 'inherit', env });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode, signal) => resolve(exitCode ?? 128 + (constants.signals[signal!] ?? 0)));
  });
  process.exit(code);
}
