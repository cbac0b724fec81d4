import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { MemoryProfiler } from 'plimsoll/observe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { readRecord } from '../../src/cli/record.ts';
import { recordInto } from '../governor/flight-parts.ts';
import { looksOf } from './looks.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-damaged-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function run(...args: string[]) {
  const texts = { stdout: '', stderr: '' };
  const outlet = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      texts[name] += text;
    },
  });
  const screen = { stdout: outlet('stdout'), stderr: outlet('stderr'), env: {}, clock: new ManualClock() };
  const end = await runCommandLine(args, { version: '0', screen });
  return { ...texts, ...end };
}

/** One of each kind, as text. */
function records(): string[] {
  const header = { feed: 1, pid: 42, program: 'app.js', node: 'v24', startedAt: 1_700_000_000_000 };
  const looks = looksOf([20, 30, 40].map((rss) => ({ rss, rows: rss / 2 })));
  const feed = [header, ...looks, { ended: { at: 1_700_000_005_000, exitCode: 0 } }];
  const text = feed.map((line) => JSON.stringify(line)).join('\n');
  const run = JSON.stringify({
    ...readRecord(file('whole.feed', text)).data,
    ending: { exitCode: 0, why: 'It ended.' },
  });
  const { recorder } = recordInto(folder);
  recorder.write('emergency');
  recorder[Symbol.dispose]();
  const flight = readFileSync(join(folder, readdirSync(folder).find((name) => name.endsWith('.json'))!), 'utf8');
  const figures = () => ({ heapUsed: 1 << 20, external: 1 << 20, arrayBuffers: 0, rss: 9 << 20 });
  const profiler = new MemoryProfiler({ maxCheckpoints: 9, clock: new ManualClock(), figures, sampleEveryMs: 0 });
  profiler.start();
  profiler.checkpoint('read');
  const callFrame = { functionName: 'f', url: 'file:///a.js', lineNumber: 3 };
  const child = { callFrame, selfSize: 5, children: [] };
  const profile = { head: { callFrame: { ...callFrame, functionName: '' }, selfSize: 1, children: [child, child] } };
  return [
    ...text
      .split('\n')
      .slice(1, 2)
      .map((look) => `${JSON.stringify(header)}\n${look}\n`),
    run,
    flight,
  ].concat(JSON.stringify(profiler.finish()), JSON.stringify(profile));
}

/** The same JSON with the value at one place another. */
function changed(text: string, place: number, value: unknown): string {
  const [first, ...rest] = text.split('\n').filter((line) => line !== '');
  const lines = [first!, ...rest].map((line) => JSON.parse(line) as unknown);
  const places: { readonly holder: Record<string, unknown>; readonly key: string }[] = [];
  const walk = (holder: unknown): void => {
    if (typeof holder !== 'object' || holder === null) return;
    for (const [key, each] of Object.entries(holder)) {
      places.push({ holder: holder as Record<string, unknown>, key });
      walk(each);
    }
  };
  walk(lines.at(-1));
  const { holder, key } = places[place % places.length]!;
  holder[key] = value;
  return lines.map((line) => JSON.stringify(line)).join('\n');
}

describe('a record that is damaged inside', () => {
  it.each([
    ['a heap profile without children', '{"head":{"callFrame":{},"children":[{}]}}'],
    [
      'a run that says of no end why',
      '{"kind":"run","version":1,"processes":[],"command":["a"],"startedAt":0,"elapsedMs":0,"ending":{}}',
    ],
    ['a flight recording of nothing', '{"version":1,"why":"x","samples":[],"trains":[],"largest":[0],"faults":[]}'],
  ])('is said to be so in one line: %s', async (_what, text) => {
    const path = file('inside', text);
    for (const args of [
      ['report', path],
      ['diff', path, path],
    ]) {
      const { stderr, stdout, exitCode } = await run(...args);
      expect(stderr).toMatch(/^plimsoll: [^\n]*inside is damaged: [^\n]*\n$/);
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    }
  });

  it('wherever it is, ends neither with a stack nor with anything but 0 or 2', async () => {
    const whole = records();
    const values = [null, 7, 'constructor', true, [], [null], {}, -1, 1e308, ''];
    const before = whole.map((text, index) => file(`whole-${index}`, text));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.nat(9_999),
        fc.constantFrom(...values),
        async (kind, place, value) => {
          const path = file('changed', changed(whole[kind]!, place, value));
          for (const args of [
            ['report', path],
            ['report', '--json', path],
            ['diff', before[kind]!, path],
          ]) {
            const { stderr, exitCode } = await run(...args);
            expect([0, 2]).toContain(exitCode);
            expect(stderr).toMatch(exitCode === 0 ? /^$/ : /^plimsoll: [^\n]*\n$/);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has levels of any name', async () => {
    const { stdout, exitCode } = await run(
      'report',
      file(
        'log',
        'plimsoll: full; level constructor by rss\n2026-11-30T14:18:50Z, process 17, limit 1 MiB, reserved 1 MiB (peak 1 MiB)\n',
      ),
    );
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^level +constructor by rss$/m);
  });
});
