import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { countList } from './real-data.ts';
import { countInFile } from './run-app.ts';

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-count-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('counts what lies across two pieces once, and what lies in both once', async () => {
  const path = join(dir, 'text');
  for (let shift = -14; shift <= 2; shift++) {
    writeFileSync(path, `abc${' '.repeat((1 << 20) + shift - 3)}</programme>abc${' '.repeat(40)}abc`);
    expect(await countInFile(path, '</programme>', 'abc', 'nowhere')).toEqual([1, 3, 0]);
  }
});

it('counts a list by its lines alone', () => {
  const text =
    '\uFEFF#EXTM3U\n#EXTINF:-1 tvg-id="a,b",One, two\r\n#EXTGRP:x\nhttp://a\n\n#EXTINF:-1,Lost\n#EXTINF:-1,One\nhttp://a\nhttp://b\n#EXTINF:-1 a="",One\nhttp://a\n#EXTINF:0,End';
  expect(countList(text, new Set())).toEqual({ entries: 3, distinct: 2, bad: 3 });
});
