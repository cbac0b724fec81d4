import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { Alerts, CommandPort, Monitor, ObservationFeed } from '../observe/index.ts';
import { isLoopbackHost } from './loopback.ts';

/** `governor` or `feed` is required. */
export interface DashboardOptions {
  /** Whose memory and journal are shown, and who does what the buttons say. Without a `feed`, one is made, and a monitor and alerts as far as they are not given. */
  readonly governor?: Governor;
  /** Looks that are taken anyway. Stays the caller's. */
  readonly feed?: ObservationFeed;
  /** Without a `feed`: whose events are shown. Stays the caller's. */
  readonly monitor?: Monitor;
  /** Without a `feed`: whose rows are shown. Stays the caller's. */
  readonly alerts?: Alerts;
  /** What the buttons do. Default: with a `governor`, `governorCommands`; else nothing. */
  readonly commands?: CommandPort;
  /** Where heap snapshots are written. Default: none, and then there is no button for one. */
  readonly snapshotFolder?: string;
  /**
   * 8 to 256 characters of ASCII without a space at either end. Whoever has it may look from anywhere and may act. Default: none; then nobody may act, and only this machine
   * may look.
   */
  readonly token?: string | undefined;
  /** Names by which it may be asked for, without a port, beside those of this machine. With any a token is required. At most 100. Default none. */
  readonly hosts?: readonly string[];
  /** Where it is mounted, such as `/dashboard`; not with a `/` at the end. Default the root. */
  readonly basePath?: string;
  /** Shown above the page, at most 80 characters. Default `Node.js process`. */
  readonly title?: string;
  /** Points that are kept for the charts, 2 to 100,000: about 1.2 KB each, up to twice as many. Without a `feed`. Default 900: a quarter of an hour. */
  readonly maxPoints?: number;
  /** How often it looks, ms, 50 up. Without a `feed`. Default 1,000. */
  readonly everyMs?: number;
  /** Browsers and terminals that are told of each look, at once, 1 to 1,000. Default 32. */
  readonly maxStreams?: number;
  readonly clock?: Clock;
}

export interface DashboardListenOptions {
  /** 0: one that is free. */
  readonly port: number;
  /** Default `127.0.0.1`. Anything that is not this machine alone needs a `token`. */
  readonly host?: string;
  /** Connections at once, 4 to 10,000. With so many, one that asks for nothing makes room for one more. Default 128. */
  readonly maxConnections?: number;
}

export const DASHBOARD_DEFAULTS = {
  host: '127.0.0.1',
  basePath: '',
  title: 'Node.js process',
  maxPoints: 900,
  everyMs: 1_000,
  maxStreams: 32,
  maxConnections: 128,
} as const;

export interface ResolvedDashboard extends Omit<DashboardOptions, 'hosts' | 'basePath' | 'title' | 'clock'> {
  readonly hosts: readonly string[];
  readonly basePath: string;
  readonly title: string;
  readonly maxPoints: number;
  readonly everyMs: number;
  readonly maxStreams: number;
  readonly clock: Clock;
}

const OPTIONS = [
  'governor',
  'feed',
  'monitor',
  'alerts',
  'commands',
  'snapshotFolder',
  'token',
  'hosts',
  'basePath',
  'title',
  'maxPoints',
  'everyMs',
  'maxStreams',
  'clock',
] as const;
const LISTEN_OPTIONS = ['port', 'host', 'maxConnections'] as const;
const OF_A_FEED = ['monitor', 'alerts', 'maxPoints', 'everyMs'] as const;
const TOKEN = /^[\x21-\x7e][\x20-\x7e]{6,254}[\x21-\x7e]$/;
const TOKEN_TEXT = '8 to 256 characters of ASCII without a space at either end';
const HOST_NAME = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})$/i;
const BASE_PATH = /^(?:\/[\w.~-]+)*$/;
const LONGEST_TITLE = 80;
const LONGEST_PATH = 4_096;
const MOST_HOSTS = 100;
const MOST_STREAMS = 1_000;
const LEAST_MS = 50;

export function checkDashboardOptions(given: DashboardOptions): ResolvedDashboard {
  const options = copyOptions('Dashboard', given, OPTIONS);
  const { governor, feed, snapshotFolder, token, clock = systemClock } = options;
  checkSource(options);
  if (snapshotFolder !== undefined) checkName(snapshotFolder, 'snapshotFolder', LONGEST_PATH);
  if (snapshotFolder !== undefined && governor === undefined) {
    throw invalidOption('snapshotFolder', 'given with a `governor`', snapshotFolder);
  }
  if (token !== undefined && !(typeof token === 'string' && TOKEN.test(token))) {
    // Never shown: it may be one that was mistyped. An empty one, as of a variable that is set to nothing, has to be told from it.
    throw token === ''
      ? invalidOption('token', `${TOKEN_TEXT}, or undefined for none`, 'an empty text')
      : invalidOption('token', TOKEN_TEXT, typeof token === 'string' ? '...' : token);
  }
  if (typeof clock?.after !== 'function') throw invalidOption('clock', 'a clock', clock);
  const { basePath = DASHBOARD_DEFAULTS.basePath, title = DASHBOARD_DEFAULTS.title } = options;
  if (typeof basePath !== 'string' || !BASE_PATH.test(basePath)) {
    throw invalidOption('basePath', 'a path such as `/dashboard`', basePath);
  }
  const { maxPoints, everyMs, maxStreams } = DASHBOARD_DEFAULTS;
  return {
    ...(governor === undefined ? {} : { governor }),
    ...(feed === undefined ? {} : { feed }),
    ...(options.monitor === undefined ? {} : { monitor: options.monitor }),
    ...(options.alerts === undefined ? {} : { alerts: options.alerts }),
    ...(options.commands === undefined ? {} : { commands: options.commands }),
    ...(snapshotFolder === undefined ? {} : { snapshotFolder }),
    ...(token === undefined ? {} : { token }),
    ...{ basePath, clock },
    title: checkName(title, 'title', LONGEST_TITLE),
    hosts: checkHosts(options.hosts ?? [], token),
    maxPoints: checkWhole('maxPoints', options.maxPoints ?? maxPoints, 2, 100_000),
    everyMs: checkWhole('everyMs', options.everyMs ?? everyMs, LEAST_MS, LONGEST_MS),
    maxStreams: checkWhole('maxStreams', options.maxStreams ?? maxStreams, 1, MOST_STREAMS),
  };
}

function checkSource(options: DashboardOptions): void {
  const { governor, feed, commands } = options;
  if (governor === undefined && feed === undefined) throw invalidOption('governor', 'given, or else `feed`', governor);
  if (governor !== undefined) checkGovernor(governor);
  if (feed !== undefined) {
    if (typeof feed?.subscribe !== 'function') throw invalidOption('feed', 'an `ObservationFeed`', feed);
    for (const name of OF_A_FEED) {
      if (options[name] !== undefined) throw invalidOption(name, 'given to the feed', options[name]);
    }
  }
  if (commands !== undefined && typeof commands?.reclaim !== 'function') {
    throw invalidOption('commands', 'a `CommandPort`', commands);
  }
}

function checkHosts(hosts: readonly string[], token: string | undefined): readonly string[] {
  if (!Array.isArray(hosts) || hosts.length > MOST_HOSTS) {
    throw invalidOption('hosts', `a list of at most ${MOST_HOSTS} names`, hosts);
  }
  return hosts.map((host: unknown) => {
    if (typeof host !== 'string' || !HOST_NAME.test(host)) {
      throw invalidOption('hosts', 'names without scheme and port', host);
    }
    if (token === undefined && !isLoopbackHost(host)) {
      throw invalidOption('hosts', 'names of this machine alone where there is no `token`', host);
    }
    return host.toLowerCase();
  });
}

export function checkListenOptions(
  given: DashboardListenOptions,
  token: string | undefined,
): Required<DashboardListenOptions> {
  const options = copyOptions('listen', given, LISTEN_OPTIONS);
  const { maxConnections = DASHBOARD_DEFAULTS.maxConnections } = options;
  const host = checkName(options.host ?? DASHBOARD_DEFAULTS.host, 'host', 253);
  if (token === undefined && !isLoopbackHost(host)) {
    throw invalidOption('host', 'an address of this machine alone where there is no `token`', host);
  }
  return {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: checkWhole('port', options.port, 0, 65_535),
    maxConnections: checkWhole('maxConnections', maxConnections, 4, 10_000),
  };
}
