import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Faults } from '../../src/governor/faults.ts';
import { DEFAULT_TERMINATION_LOG, TerminationLog } from '../../src/governor/termination-log.ts';
import { eventfulParts, flightParts, MIB } from './flight-parts.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-log-test-'));
  path = join(folder, 'termination-log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function setUp(more: { path?: string; parts?: ReturnType<typeof flightParts>; dumpPath?: () => string } = {}) {
  const faults = new Faults();
  const clock = new ManualClock(Date.UTC(2026, 10, 21, 3, 57, 41));
  const log = new TerminationLog({ path, clock, faults, parts: eventfulParts(), ...more });
  return { log, faults, clock, text: () => readFileSync(path, 'utf8') };
}

describe('the termination log', () => {
  it('says why, how much, and who holds most with their peaks', () => {
    const { log, text, faults } = setUp({ dumpPath: () => '/dumps/1.json' });
    expect(log.write('emergency lasts', 'two trains did not help')).toBe(true);
    expect(text()).toBe(
      [
        'plimsoll: emergency lasts: two trains did not help; level emergency by cgroup',
        `2026-11-21T03:57:41Z, process ${process.pid}, limit 100 MiB, reserved 45 MiB (peak 50 MiB)`,
        'last sample: 96.1% of the limit, heap 0 MiB, external 0 MiB, rss 0 MiB, cgroup 96 MiB',
        'dump: /dumps/1.json',
        'largest holders:',
        '  pages "of" \u00e4  (external): 35 MiB, peak 40 MiB',
        '  cache (external): 10 MiB, peak 10 MiB',
        '',
      ].join('\n'),
    );
    expect(faults.rows()).toEqual([]);
  });

  it('is written anew each time, whatever stood there', () => {
    writeFileSync(path, 'x'.repeat(10_000));
    const { log, text } = setUp();
    log.write('first '.repeat(50));
    log.write('second');
    expect(text()).toMatch(/^plimsoll: second;/);
    expect(text()).toMatch(/cache \(external\): 10 MiB, peak 10 MiB\n$/);
    expect(text()).not.toContain('first');
  });

  it('has at most 4 KiB, in whole lines, of whatever names', () => {
    const parts = flightParts();
    for (let i = 0; i < 300; i++) {
      const name = `\u{1f4a5}\n\r\u001b[31m${'\u00e4'.repeat(400)}\ud800${i}`;
      parts.ledger.charge(parts.ledger.open({ name, kind: 'heap', maxBytes: MIB }), 1_000 + i);
    }
    const { log } = setUp({ parts });
    expect(log.write('\u{1f4a5}'.repeat(3_000), '\u{1f4a5}'.repeat(3_000))).toBe(true);
    const bytes = readFileSync(path);
    expect(bytes.length).toBeLessThanOrEqual(4_096);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    expect(text).not.toContain('\u001b');
    const lines = text.split('\n');
    expect(lines.at(-1)).toBe('');
    const holders = lines.filter((line) => line.startsWith('  '));
    expect(holders.length).toBeGreaterThan(3);
    for (const line of holders) expect(line).toMatch(/ \(heap\): 0 MiB, peak 0 MiB$/);
  });

  it('is emptied when the danger is over, and left alone when nothing was written', () => {
    writeFileSync(path, 'of the program');
    const { log, text } = setUp();
    log.clear();
    expect(text()).toBe('of the program');
    log.write('emergency');
    log.clear();
    expect(text()).toBe('');
    log.write('emergency');
    log[Symbol.dispose]();
    log[Symbol.dispose]();
    expect(text()).toContain('emergency');
    expect(log.write('late')).toBe(false);
  });

  it('is made where a path was given, and not before there is something to say', () => {
    const { log, text } = setUp();
    expect(existsSync(path)).toBe(false);
    expect(log.path).toBe(path);
    log.write('emergency');
    expect(text()).toContain('emergency');
  });

  it('is never made where only Kubernetes would have it', (context) => {
    if (existsSync(DEFAULT_TERMINATION_LOG)) context.skip('there is one here');
    const faults = new Faults();
    const log = new TerminationLog({ clock: new ManualClock(), faults, parts: eventfulParts() });
    expect([log.path, log.write('emergency')]).toEqual([undefined, false]);
    expect(existsSync(DEFAULT_TERMINATION_LOG)).toBe(false);
    expect(faults.rows()).toEqual([]);
  });

  it('is written where it stands, when it was removed or replaced after the start', () => {
    writeFileSync(path, 'first');
    const { log, text, faults } = setUp();
    rmSync(path);
    expect(log.write('removed')).toBe(true);
    expect(text()).toMatch(/^plimsoll: removed;/);
    writeFileSync(join(folder, 'new'), 'x'.repeat(5_000));
    renameSync(path, join(folder, 'old'));
    renameSync(join(folder, 'new'), path);
    expect(log.write('replaced')).toBe(true);
    expect(text()).toMatch(/^plimsoll: replaced;.*\n$/s);
    expect(readFileSync(join(folder, 'old'), 'utf8')).toMatch(/^plimsoll: removed;/);
    log.clear();
    expect([text(), faults.rows()]).toEqual(['', []]);
  });

  it('notes what stands in the way, and throws nothing', () => {
    const { log, faults } = setUp({ path: join(folder, 'none', 'log') });
    expect([log.write('emergency'), log.write('emergency')]).toEqual([false, false]);
    expect(faults.rows()).toMatchObject([{ part: 'termination log', count: 2 }]);
    const { log: folderLog, faults: folderFaults } = setUp({ path: folder });
    expect(folderLog.write('emergency')).toBe(false);
    expect(folderFaults.rows()).toMatchObject([
      { part: 'termination log', message: expect.stringContaining('EISDIR') },
    ]);
    expect(() => setUp({ path: '' })).toThrow('Expected `terminationLog` to be a path or false');
  });
});
