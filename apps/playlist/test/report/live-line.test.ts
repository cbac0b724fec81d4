import { describe, expect, it } from 'vitest';
import { liveLine } from '../../src/report/live-line.ts';

const progress = (stage: string, elapsedMs: number) => ({
  stage,
  itemsIn: 39_161,
  itemsOut: 0,
  bytesIn: 5 * 2 ** 20,
  bytesOut: 0,
  elapsedMs,
  stageElapsedMs: elapsedMs,
  rssBytes: 80 * 2 ** 20,
  ledgerBytes: 0,
  spilledBytes: 0,
  spillFiles: 0,
});

function screen(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, isTTY, columns, write: (text: string) => written.push(text) };
}

describe('progress', () => {
  it('is one live line on a terminal, cut to its width, and gone at the end', () => {
    const terminal = screen(true, 40);
    {
      using line = liveLine(terminal, false);
      line.show(progress('Numbering', 1500), 128 * 2 ** 20);
    }
    expect(terminal.written[0]).toBe(
      `\r\x1b[2K${'  1.5s  Numbering: 39,161, 5.0 MiB read  memory 80 of 128 MiB'.slice(0, 39)}`,
    );
    expect(terminal.written.at(-1)).toBe('\r\x1b[2K');
  });

  it('is plain lines in a pipe, when the stage changes and every two seconds', () => {
    const pipe = screen(false);
    using line = liveLine(pipe, false);
    for (const [stage, at] of [
      ['A', 0],
      ['A', 100],
      ['B', 200],
      ['B', 1900],
      ['B', 2300],
    ] as const)
      line.show(progress(stage, at), 2 ** 27);
    expect(pipe.written.map((text) => /s {2}(\w)/.exec(text)?.[1])).toEqual(['A', 'B', 'B']);
    expect(pipe.written.every((text) => text.endsWith('\n') && !text.includes('\x1b'))).toBe(true);
  });

  it('is nothing when asked to be quiet', () => {
    const terminal = screen(true);
    using line = liveLine(terminal, true);
    line.show(progress('A', 1), 1);
    expect(terminal.written).toEqual([]);
  });

  it('says what is spilled while it is spilled', () => {
    const pipe = screen(false);
    using line = liveLine(pipe, false);
    line.show({ ...progress('Sorting', 1500), spilledBytes: 3 * 2 ** 20, spillFiles: 2 }, 128 * 2 ** 20);
    expect(pipe.written.join('')).toContain('3.0 MiB spilled (2 files)');
  });
});
