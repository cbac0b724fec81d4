import { isAbsolute, resolve } from 'node:path';
import { parseBytes, parseDuration } from '../bytes.ts';

/** What `plimsoll/auto` is to do, as the environment says it. */
export interface AutoSettings {
  /** `PLIMSOLL`: `observe` (default here), `on` or `off`. */
  readonly mode: AutoMode;
  /** `PLIMSOLL_LIMIT`, such as `512MiB`. The smallest of all limits holds whatever it says. */
  readonly limitBytes?: number;
  /** `PLIMSOLL_SHARE`: this process's part of the limit, above 0 and up to 1. */
  readonly share?: number;
  /** `PLIMSOLL_HTTP=shed`: requests of `node:http` and `node:https` servers are turned away under pressure. Absent: they are left alone. */
  readonly shed?: ShedSettings;
  /** Absent with `PLIMSOLL_RECYCLE=off`. */
  readonly recycle?: RecycleSettings;
  /** `PLIMSOLL_CONTROL`: a file whose first word is the mode from now on. An absolute path. */
  readonly controlPath?: string;
  /** `PLIMSOLL_SIGNAL`: what switches off, and back when it comes again. */
  readonly signal?: AutoSignal;
  /** False with `PLIMSOLL_LOG=off`: not a line is written. */
  readonly log: boolean;
  /** `PLIMSOLL_DUMP`: the folder of the flight recorder. An absolute path. */
  readonly dumpFolder?: string;
  /** `PLIMSOLL_FEED`: a folder in which looks are written for `plimsoll run` and `plimsoll top`, or `on` for the user's own. An absolute path. */
  readonly feedFolder?: string | 'on';
}

export interface ShedSettings {
  /** `PLIMSOLL_HTTP_EXEMPT`: paths that are never turned away. Default: those that health checks usually ask for. */
  readonly exempt: readonly string[];
  /** `PLIMSOLL_HTTP_FIRST`: paths that are turned away at `high` already. Default: none. */
  readonly firstToGo: readonly string[];
}

export interface RecycleSettings {
  /** `PLIMSOLL_RECYCLE_AFTER`, ms: how long it must have been `critical`. */
  readonly afterMs: number;
  /** `PLIMSOLL_RECYCLE_STAGGER`, ms: the longest random delay. */
  readonly staggerMs: number;
  /** `PLIMSOLL_RECYCLE_EXIT`, 0 to 255. */
  readonly exitCode: number;
}

const AUTO_MODES = ['observe', 'on', 'off'] as const;
export type AutoMode = (typeof AUTO_MODES)[number];

/** Signals that mean nothing to Node and to supervisors, or that programs are used to being told things by. */
const AUTO_SIGNALS = ['SIGUSR2', 'SIGHUP'] as const;
export type AutoSignal = (typeof AUTO_SIGNALS)[number];

/** What kubelets and load balancers are usually told to ask. Turning those away takes the process out of service, or ends it. */
const HEALTH_PATHS = ['/health', '/healthz', '/health/*', '/live', '/livez', '/ready', '/readyz', '/ping', '/status'];

export const AUTO_DEFAULTS = {
  mode: 'observe',
  recycle: { afterMs: 30_000, staggerMs: 60_000, exitCode: 75 },
  exempt: HEALTH_PATHS,
} as const;

const LONGEST_MS = 86_400_000;
const MOST_PATHS = 64;
const LONGEST_PATH = 256;
/** Node alone is more. */
const LEAST_LIMIT_BYTES = 16 * 1_048_576;
const SHOWN = 60;

export interface ReadSettings {
  readonly settings: AutoSettings;
  /** What could not be read and what holds instead, a sentence each. */
  readonly complaints: readonly string[];
}

/**
 * Reads the environment. Never throws: what cannot be read is a complaint, and its default holds. Empty values count as not set.
 * @example
 * readSettings({ PLIMSOLL: 'on', PLIMSOLL_LIMIT: '512MiB' }).settings.limitBytes; // 536870912
 */
export function readSettings(env: Readonly<Record<string, string | undefined>>): ReadSettings {
  const from = new Environment(env);
  const mode = from.read('PLIMSOLL', AUTO_DEFAULTS.mode, AUTO_DEFAULTS.mode, oneOf(AUTO_MODES));
  const limitBytes = from.read('PLIMSOLL_LIMIT', undefined, 'no limit of its own', readLimit);
  const share = from.read('PLIMSOLL_SHARE', undefined, '1', (text) => readNumber(text, 'above 0 and up to 1', inShare));
  const controlPath = from.read('PLIMSOLL_CONTROL', undefined, 'none', readPath);
  const signal = from.read(
    'PLIMSOLL_SIGNAL',
    undefined,
    'none',
    oneOf(AUTO_SIGNALS, (text) => text.toUpperCase()),
  );
  const dumpFolder = from.read('PLIMSOLL_DUMP', undefined, 'none', readPath);
  const feedFolder = from.read('PLIMSOLL_FEED', undefined, 'none', readFeed);
  const shed = readShed(from);
  const recycle = readRecycle(from);
  const log = from.read('PLIMSOLL_LOG', 'on', 'on', oneOf(['on', 'off'])) === 'on';
  const settings: AutoSettings = {
    mode,
    log,
    ...(limitBytes !== undefined && { limitBytes }),
    ...(share !== undefined && { share }),
    ...(shed !== undefined && { shed }),
    ...(recycle !== undefined && { recycle }),
    ...(controlPath !== undefined && { controlPath }),
    ...(signal !== undefined && { signal }),
    ...(dumpFolder !== undefined && { dumpFolder }),
    ...(feedFolder !== undefined && { feedFolder }),
  };
  return { settings, complaints: from.complaints };
}

/** The mode that the first word of a text asks for; undefined when it asks for none. */
export function readMode(text: string): AutoMode | undefined {
  const word = /^\s*([a-z]+)/i.exec(text)?.[1]?.toLowerCase();
  return AUTO_MODES.find((mode) => mode === word);
}

function readShed(from: Environment): ShedSettings | undefined {
  const asked = from.read('PLIMSOLL_HTTP', 'off', 'off', oneOf(['shed', 'off']));
  const exempt = from.read('PLIMSOLL_HTTP_EXEMPT', HEALTH_PATHS, 'the default', readPaths);
  const firstToGo = from.read('PLIMSOLL_HTTP_FIRST', [], 'none', readPaths);
  return asked === 'shed' ? { exempt, firstToGo } : undefined;
}

function readRecycle(from: Environment): RecycleSettings | undefined {
  const { afterMs, staggerMs, exitCode } = AUTO_DEFAULTS.recycle;
  const asked = from.read('PLIMSOLL_RECYCLE', 'on', 'on', oneOf(['on', 'off']));
  const time = (name: string, ms: number, least: number) =>
    from.read(name, ms, `${ms / 1_000}s`, (text) => readTime(text, least));
  const recycle = {
    afterMs: time('PLIMSOLL_RECYCLE_AFTER', afterMs, 1),
    staggerMs: time('PLIMSOLL_RECYCLE_STAGGER', staggerMs, 0),
    exitCode: from.read('PLIMSOLL_RECYCLE_EXIT', exitCode, String(exitCode), (text) =>
      readNumber(text, 'a whole number from 0 to 255', (code) => Number.isInteger(code) && code >= 0 && code <= 255),
    ),
  };
  return asked === 'on' ? recycle : undefined;
}

class Environment {
  readonly complaints: string[] = [];
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  /** What `parse` makes of it; `fallback`, told as `called`, where it is not set or `parse` throws. */
  read<T>(name: string, fallback: T, called: string, parse: (text: string) => T): T {
    const text = this.#env[name]?.trim() ?? '';
    if (text === '') return fallback;
    try {
      return parse(text);
    } catch (cause) {
      const why = (cause as Error).message.replaceAll(/[\x00-\x1f\x7f]/g, ' ');
      this.complaints.push(`${name}: ${why}: ${called} holds`);
      return fallback;
    }
  }
}

function oneOf<T extends string>(known: readonly T[], normal = (text: string) => text.toLowerCase()) {
  return (text: string): T => {
    const found = known.find((one) => one === normal(text));
    if (found === undefined) throw unreadable(`one of ${known.map((one) => `\`${one}\``).join(', ')}`, text);
    return found;
  };
}

function readLimit(text: string): number {
  // As Kubernetes writes it.
  const bytes = parseBytes(text.replace(/^(\d+(?:\.\d+)?)\s*([KMGT]i)$/, '$1$2B'));
  if (bytes < LEAST_LIMIT_BYTES) throw unreadable('a size of at least 16MiB, like 512MiB', text);
  return bytes;
}

function readTime(text: string, least: number): number {
  const ms = Math.round(parseDuration(text));
  if (ms < least || ms > LONGEST_MS) throw unreadable(`a duration from ${least}ms to 1d`, text);
  return ms;
}

const inShare = (value: number): boolean => value > 0 && value <= 1;

function readNumber(text: string, expected: string, isSound: (value: number) => boolean): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!isSound(value)) throw unreadable(expected, text);
  return value;
}

function readPath(text: string): string {
  if (text.includes('\0')) throw unreadable('a path', text);
  // The program may change its folder.
  return resolve(text);
}

/** `off` is none; of other words it cannot be told whether a folder is meant. */
function readFeed(text: string): string | undefined {
  const word = text.toLowerCase();
  if (word === 'off') return undefined;
  if (word === 'on') return 'on';
  if (!isAbsolute(text) || text.includes('\0')) throw unreadable('`on`, `off` or an absolute path', text);
  return text;
}

function readPaths(text: string): readonly string[] {
  const paths = text.split(',').map((path) => path.trim());
  if (paths.length > MOST_PATHS || !paths.every((path) => /^\/[^?#*]*\*?$/.test(path) && path.length <= LONGEST_PATH)) {
    throw unreadable(`up to ${MOST_PATHS} paths like \`/health\` or \`/report/*\` with commas between them`, text);
  }
  return paths;
}

function unreadable(expected: string, got: string): RangeError {
  const shown = got.length > SHOWN ? `${got.slice(0, SHOWN)}...` : got;
  return new RangeError(`Expected ${expected}, got \`${shown}\``);
}
