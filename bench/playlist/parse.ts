/** Parse only, the same fields of the same clean list, against three parsers and the floor. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generateM3u } from '../../apps/playlist/src/sample/generate-m3u.ts';
import { BENCH_DIR, type Figure, installRivals, measure, type Subject } from '../measure.ts';
import { mb, ms, table, times, writeSection } from '../results-file.ts';

const SIZES = [10_000, 39_161, 50_000, 100_000, 1_000_000] as const;
const SMALL_ROUNDS = 5;
const BIG_ROUNDS = 3;
const OURS = 'plimsoll, fields as spans';
const OURS_STRINGS = 'plimsoll, fields as strings';
const FLOOR = 'floor: read, count line ends';
/** Channels a second fall with the size of the list: a second round would take minutes and say the same. */
const SLOW = '@iptv/playlist';

function subjects(list: string, channels: number): Subject[] {
  const script = (name: string): string => join(BENCH_DIR, 'subjects', `parse-${name}.mjs`);
  return [
    { name: FLOOR, args: [script('floor'), list] },
    { name: OURS, args: [script('plimsoll'), list, 'spans'] },
    { name: OURS_STRINGS, args: [script('plimsoll'), list, 'strings'] },
    { name: 'iptv-playlist-parser', args: [script('iptv-playlist-parser'), list] },
    { name: SLOW, args: [script('iptv-playlist'), list], ...(channels > 100_000 ? { rounds: 1 } : {}) },
    { name: 'm3u8-file-parser', args: [script('m3u8-file-parser'), list] },
  ];
}

export async function benchParse(): Promise<void> {
  installRivals();
  const parts: string[] = [];
  for (const channels of SIZES) {
    const list = await cleanList(channels);
    console.log(`${channels} channels`);
    const figures = await measure(subjects(list, channels), channels > 100_000 ? BIG_ROUNDS : SMALL_ROUNDS);
    parts.push(`### ${channels.toLocaleString('en')} channels\n\n${rows(figures)}`);
  }
  writeSection({
    id: 'playlist-parse',
    title: 'Parse only, against other parsers',
    command: 'npm run bench -- playlist parse',
    body: `A clean list (the rivals drop entries of a dirty one, or throw), six fields of each channel touched, fresh processes in turn. Work is what
the process timed itself, reading included, Node's start left out; wall and peak RSS (VmHWM) are seen from outside. Times are
medians with least and most; "slower" and "peak" are against the first plimsoll row.

${parts.join('\n\n')}

What limits it: at 10,000 channels the code is still being compiled for half of the time. "As spans" leaves the text where it is, which is all a filter by bytes
or a writer needs; "as strings" makes the six strings that the others return, and drops them, where the others keep all of them.`,
  });
}

async function cleanList(channels: number): Promise<string> {
  const dir = join(BENCH_DIR, '.tmp');
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `clean-${channels}.m3u`);
  if (!existsSync(`${path}.expected.json`)) await generateM3u({ path, channels, dirty: false });
  return path;
}

function rows(figures: readonly Figure[]): string {
  const ours = figures.find((figure) => figure.name === OURS)!;
  const counts = new Set(
    figures.filter((figure) => figure.name !== FLOOR && !figure.died).map((figure) => figure.counted.channels),
  );
  if (counts.size !== 1) throw new Error(`The parsers do not agree on the channels: ${[...counts].join(', ')}`);
  return table(
    ['', 'work', 'least-most', 'wall', 'peak RSS', 'slower', 'peak'],
    figures.map((figure) =>
      figure.died === undefined
        ? [
            figure.name,
            ms(figure.elapsedMs),
            `${figure.elapsedMinMs.toFixed(0)}-${figure.elapsedMaxMs.toFixed(0)}`,
            ms(figure.wallMs),
            mb(figure.rssPeakBytes),
            times(figure.elapsedMs / ours.elapsedMs),
            times(figure.rssPeakBytes / ours.rssPeakBytes),
          ]
        : [
            figure.name,
            figure.died,
            '',
            ms(figure.wallMs),
            mb(figure.rssPeakBytes),
            '-',
            times(figure.rssPeakBytes / ours.rssPeakBytes),
          ],
    ),
  );
}
