import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AUTO_DEFAULTS, readMode, readSettings } from '../../src/auto/settings.ts';

describe('the settings of auto', () => {
  it('observe, recycle nothing that is not on, and leave requests and signals alone when nothing is said', () => {
    const { settings, complaints } = readSettings({});
    expect(complaints).toEqual([]);
    expect(settings).toEqual({
      mode: 'observe',
      log: true,
      recycle: { afterMs: 30_000, staggerMs: 60_000, exitCode: 75 },
    });
  });

  it('are read with their units', () => {
    const { settings, complaints } = readSettings({
      PLIMSOLL: ' On ',
      PLIMSOLL_HTTP: 'shed',
      PLIMSOLL_HTTP_EXEMPT: '/alive, /metrics/*',
      PLIMSOLL_HTTP_FIRST: '/report/*',
      PLIMSOLL_RECYCLE_AFTER: '10s',
      PLIMSOLL_RECYCLE_STAGGER: '0',
      PLIMSOLL_RECYCLE_EXIT: '3',
      PLIMSOLL_LIMIT: '512MiB',
      PLIMSOLL_SHARE: '.5',
      PLIMSOLL_CONTROL: 'switch',
      PLIMSOLL_SIGNAL: 'sigusr2',
      PLIMSOLL_LOG: 'off',
      PLIMSOLL_DUMP: '/var/dumps',
    });
    expect(complaints).toEqual([]);
    expect(settings).toEqual({
      mode: 'on',
      shed: { exempt: ['/alive', '/metrics/*'], firstToGo: ['/report/*'] },
      recycle: { afterMs: 10_000, staggerMs: 0, exitCode: 3 },
      limitBytes: 512 * 2 ** 20,
      share: 0.5,
      controlPath: resolve('switch'),
      signal: 'SIGUSR2',
      log: false,
      dumpFolder: '/var/dumps',
    });
  });

  it('count as not set when they are empty', () => {
    const empty = Object.fromEntries(
      ['', '_LIMIT', '_SHARE', '_CONTROL', '_SIGNAL'].map((end) => [`PLIMSOLL${end}`, ' ']),
    );
    expect(readSettings(empty)).toEqual(readSettings({}));
  });

  it('leave health checks alone unless told which', () => {
    const { settings } = readSettings({ PLIMSOLL_HTTP: 'shed' });
    expect(settings.shed?.exempt).toEqual(AUTO_DEFAULTS.exempt);
    expect(settings.shed?.exempt).toContain('/healthz');
  });

  it('have no recycle when it is off', () => {
    expect(readSettings({ PLIMSOLL_RECYCLE: 'OFF' }).settings.recycle).toBeUndefined();
  });

  it.each([
    ['PLIMSOLL', 'maybe', 'PLIMSOLL: Expected one of `observe`, `on`, `off`, got `maybe`: observe holds'],
    ['PLIMSOLL_LIMIT', '512M', 'PLIMSOLL_LIMIT: Expected a size like `512MiB`, got `512M`: no limit of its own holds'],
    [
      'PLIMSOLL_LIMIT',
      '512',
      'PLIMSOLL_LIMIT: Expected a size of at least 16MiB, like 512MiB, got `512`: no limit of its own holds',
    ],
    ['PLIMSOLL_SHARE', '1.5', 'PLIMSOLL_SHARE: Expected above 0 and up to 1, got `1.5`: 1 holds'],
    ['PLIMSOLL_SHARE', '50%', 'PLIMSOLL_SHARE: Expected above 0 and up to 1, got `50%`: 1 holds'],
    ['PLIMSOLL_RECYCLE_AFTER', '30', 'PLIMSOLL_RECYCLE_AFTER: Expected a duration like `30s`, got `30`: 30s holds'],
    ['PLIMSOLL_RECYCLE_AFTER', '0', 'PLIMSOLL_RECYCLE_AFTER: Expected a duration from 1ms to 1d, got `0`: 30s holds'],
    [
      'PLIMSOLL_RECYCLE_EXIT',
      '256',
      'PLIMSOLL_RECYCLE_EXIT: Expected a whole number from 0 to 255, got `256`: 75 holds',
    ],
    ['PLIMSOLL_SIGNAL', 'SIGTERM', 'PLIMSOLL_SIGNAL: Expected one of `SIGUSR2`, `SIGHUP`, got `SIGTERM`: none holds'],
    ['PLIMSOLL_HTTP', 'drop', 'PLIMSOLL_HTTP: Expected one of `shed`, `off`, got `drop`: off holds'],
    ['PLIMSOLL_LOG', 'warn', 'PLIMSOLL_LOG: Expected one of `on`, `off`, got `warn`: on holds'],
  ])('say in one sentence what %s=%s should be, and go on', (name, value, complaint) => {
    const { settings, complaints } = readSettings({ [name]: value });
    expect(complaints).toEqual([complaint]);
    expect(settings).toEqual(readSettings({}).settings);
  });

  it.each(['report', '/a?b', '/*/a', '/a,', Array(65).fill('/a').join(',')])('refuse the paths %s', (paths) => {
    const { settings, complaints } = readSettings({ PLIMSOLL_HTTP: 'shed', PLIMSOLL_HTTP_EXEMPT: paths });
    expect(complaints).toHaveLength(1);
    expect(settings.shed?.exempt).toEqual(AUTO_DEFAULTS.exempt);
  });

  it('are told in short and in one line, whatever is in them', () => {
    const [complaint] = readSettings({ PLIMSOLL: `on\nroot: ${'x'.repeat(5_000)}` }).complaints;
    expect(complaint).not.toContain('\n');
    expect(complaint!.length).toBeLessThan(200);
  });
});

it.each([
  ['off', 'off'],
  ['  On\n# since Tuesday', 'on'],
  ['observe, please', 'observe'],
  ['offline', undefined],
  ['', undefined],
  ['1', undefined],
])('the first word of %j is the mode %s', (text, mode) => {
  expect(readMode(text)).toBe(mode);
});
