import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ModeSwitch } from '../../src/auto/mode-switch.ts';
import type { AutoMode, AutoSignal } from '../../src/auto/settings.ts';

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return { ...fs, openSync: vi.fn(fs.openSync) };
});

let folder: string;
let path: string;
let counter = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-switch-'));
  path = join(folder, 'control');
});

afterEach(() => rmSync(folder, { recursive: true }));

function setUp(mode: AutoMode, controlPath: string | undefined, signal?: AutoSignal) {
  const clock = new ManualClock();
  const told: string[] = [];
  const complaints: string[] = [];
  const onMode = (to: AutoMode, by: string) => void told.push(`${to} ${by.replace(folder, '')}`);
  const complain = (text: string) => void complaints.push(text);
  return { clock, told, complaints, modes: new ModeSwitch({ mode, clock, controlPath, signal, onMode, complain }) };
}

/** Of another size each time: two writes may fall into one tick of the file system's clock. */
const write = (word: string) => writeFileSync(path, `${word} ${'.'.repeat(counter++ % 100)}\n`);

describe('the control file', () => {
  it('decides from the start, within a second of each change, and no more once it is gone', () => {
    write('off');
    const { clock, told, modes } = setUp('on', path);
    expect(told).toEqual(['off by /control']);
    write('observe');
    clock.advance(999);
    expect(told).toHaveLength(1);
    clock.advance(1);
    rmSync(path);
    clock.advance(1_000);
    expect(told).toEqual(['off by /control', 'observe by /control', 'on /control is gone']);
    modes[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });

  it('that asks for what holds already changes nothing', () => {
    write('on');
    const { clock, told, modes } = setUp('on', path);
    write('on');
    clock.advance(5_000);
    expect(told).toEqual([]);
    modes[Symbol.dispose]();
  });

  it('may appear later', () => {
    const { clock, told, modes } = setUp('observe', path);
    clock.advance(3_000);
    write('OFF');
    clock.advance(1_000);
    expect(told).toEqual(['off by /control']);
    modes[Symbol.dispose]();
  });

  it('that says nothing known is told once, and what was started with holds', () => {
    write('off');
    const { clock, told, complaints, modes } = setUp('on', path);
    write('offf');
    clock.advance(10_000);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(/control begins with `offf \.*`, which is none of off, observe, on: as started$/);
    expect(told.at(-1)).toBe('on by /control');
    modes[Symbol.dispose]();
  });

  it('that is a folder, or cannot be read, is as good as none', () => {
    mkdirSync(path);
    const { clock, told, complaints, modes } = setUp('on', path);
    clock.advance(2_000);
    expect(told).toEqual([]);
    expect(complaints).toEqual([]);
    modes[Symbol.dispose]();
  });

  it('is read as soon as that can be done again, when there was no descriptor left', () => {
    const { clock, told, modes } = setUp('on', path);
    write('off');
    vi.mocked(openSync).mockImplementationOnce(() => {
      throw new Error('EMFILE: too many open files');
    });
    clock.advance(1_000);
    expect(told).toEqual([]);
    clock.advance(1_000);
    expect(told).toEqual(['off by /control']);
    modes[Symbol.dispose]();
  });

  it('goes on being looked at when who is told throws', () => {
    write('off');
    const clock = new ManualClock();
    let calls = 0;
    const onMode = () => {
      calls++;
      throw new Error('broken on purpose');
    };
    using _modes = new ModeSwitch({ mode: 'on', clock, controlPath: path, onMode, complain() {} });
    write('observe');
    clock.advance(1_000);
    expect(calls).toBe(2);
  });
});

describe('the signal', () => {
  it('switches off, and back; the file has its say in between', () => {
    write('observe');
    const { clock, told, modes } = setUp('on', path, 'SIGUSR2');
    process.emit('SIGUSR2', 'SIGUSR2');
    write('on');
    clock.advance(1_000);
    process.emit('SIGUSR2', 'SIGUSR2');
    expect(told).toEqual(['observe by /control', 'off by SIGUSR2', 'on by SIGUSR2']);
    modes[Symbol.dispose]();
  });

  it('is listened for only when it is asked for, and no longer after the end', () => {
    const before = process.listenerCount('SIGUSR2');
    const { modes: without } = setUp('on', path);
    expect(process.listenerCount('SIGUSR2')).toBe(before);
    const { modes } = setUp('on', undefined, 'SIGUSR2');
    expect(process.listenerCount('SIGUSR2')).toBe(before + 1);
    for (const one of [without, modes, modes]) one[Symbol.dispose]();
    expect(process.listenerCount('SIGUSR2')).toBe(before);
  });
});
