import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StderrLines } from '../../src/auto/stderr-lines.ts';

let folder: string;
let path: string;
const isLinux = process.platform === 'linux';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-lines-'));
  path = join(folder, 'stderr');
});

afterEach(() => rmSync(folder, { recursive: true }));

it('a line is one line, begins with the name, and is bounded', () => {
  const descriptor = openSync(path, 'w');
  const lines = new StderrLines({ descriptor });
  expect(lines.write('high\nforged: \x1b[31mred')).toBe(true);
  expect(lines.write('x'.repeat(10_000))).toBe(true);
  closeSync(descriptor);
  const [first, second, rest] = readFileSync(path, 'utf8').split('\n');
  expect(first).toBe('plimsoll: high forged:  [31mred');
  expect(second).toHaveLength('plimsoll: '.length + 400 + '...'.length);
  expect(rest).toBe('');
});

it('a file gets them where the program writes next', () => {
  const descriptor = openSync(path, 'w');
  writeSync(descriptor, 'the program\n');
  new StderrLines({ descriptor }).write('level');
  writeSync(descriptor, 'the program again\n');
  closeSync(descriptor);
  expect(readFileSync(path, 'utf8')).toBe('the program\nplimsoll: level\nthe program again\n');
});

it('nothing is written to what the program has opened in the place of it', () => {
  const descriptor = openSync(path, 'w');
  const lines = new StderrLines({ descriptor });
  closeSync(descriptor);
  const other = openSync(join(folder, 'precious'), 'w');
  expect(other).toBe(descriptor);
  expect(lines.write('level')).toBe(false);
  closeSync(other);
  expect(lines.write('level')).toBe(false);
  expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('');
});

it.runIf(isLinux)('a pipe that nobody reads keeps nobody waiting, and stays as the program has it', () => {
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(path, 'w');
  const lines = new StderrLines({ descriptor });
  let written = 0;
  while (lines.write('.'.repeat(300))) expect(++written).toBeLessThan(10_000);
  expect(written).toBeGreaterThan(100);
  // Its own writes still wait: the flag is not on this descriptor.
  const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))![1]!;
  expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).toBe(0);
  readSync(reader, Buffer.alloc(1 << 20));
  expect(lines.write('read again')).toBe(true);
  closeSync(descriptor);
  closeSync(reader);
});

it('where nothing can be opened anew, what is written is bounded', () => {
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(path, 'w');
  const lines = new StderrLines({ descriptor, pathOf: () => undefined });
  const written = Array.from({ length: 100 }, () => lines.write('line')).filter(Boolean);
  expect(written).toHaveLength(64);
  closeSync(descriptor);
  closeSync(reader);
});
