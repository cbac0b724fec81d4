import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { inspectContent } from '../../src/sources/inspect-content.ts';

const folder = mkdtempSync(join(tmpdir(), 'playlist-inspect-'));
const path = join(folder, 'content');
afterAll(() => rmSync(folder, { recursive: true }));

function inspect(content: string | Buffer, kind: 'playlist' | 'guide' = 'playlist') {
  writeFileSync(path, content);
  return inspectContent(path, kind, 1e9, 'it');
}

describe('inspectContent', () => {
  it('counts every entry once, wherever the pieces it reads are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 20_000, max: 40_000 }),
        async (width, count) => {
          const content = `#EXTM3U\n${`#EXTINF:${'x'.repeat(width)}\n`.repeat(count)}`;
          expect(await inspect(content)).toEqual({ entryCount: count, contentBytes: content.length });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('takes lists and guides of every kind for what they are', async () => {
    const list = '#EXTM3U\n#EXTINF:-1,ä\nhttp://x/\n';
    for (const content of [
      list,
      `\ufeff${list}`,
      list.slice(8),
      `\n\n${list}`,
      Buffer.from(`\ufeff${list}`, 'utf16le'),
    ]) {
      expect((await inspect(content)).entryCount).toBe(1);
    }
    await inspect(list.toLowerCase());
    await inspect('<?xml version="1.0"?><!-- <html> --><tv><programme start="1"/></tv>', 'guide');
    await inspect(Buffer.from('\ufeff<tv><programme start="1"/></tv>', 'utf16le'), 'guide');
  });

  it.each([
    ['', 'playlist', 'empty'],
    ['#EXTM3U\n', 'playlist', 'empty'],
    ['<tv></tv>', 'guide', 'empty'],
    ['<!DOCTYPE html><p>#EXTINF', 'playlist', 'not-a-playlist'],
    ['<?xml version="1.0"?>\n<!DOCTYPE html><html><programme', 'guide', 'not-a-guide'],
    ['{"error":1}', 'playlist', 'not-a-playlist'],
    ['<rss></rss>', 'guide', 'not-a-guide'],
  ] as const)('%j is not %s: %s', async (content, kind, fault) => {
    await expect(inspect(content, kind)).rejects.toMatchObject({ fault });
  });
});
