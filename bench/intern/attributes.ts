/** Strings for the attributes of real playlists, by the interner and by what is usually written instead: time and what is kept. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR, PROJECT_DIR } from '../measure.ts';
import { table, times, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const PLAYLISTS = join(PROJECT_DIR, '..', 'shared', 'data', 'm3u');
const SCRIPT = join(BENCH_DIR, 'subjects', 'intern-attributes.mjs');
const WAYS = ['bare', 'decoder+map', 'buffer+map', 'interner'] as const;
type Way = (typeof WAYS)[number];

interface Pass {
  readonly firstNs: number;
  readonly againNs: number;
}

interface AttributeFigures {
  readonly retainedBytes: number;
  readonly count: number;
  readonly unique: number;
  /** Of the strings themselves, if each had its own, and one for each text. */
  readonly textBytes: number;
  readonly uniqueTextBytes: number;
  readonly byBytes: Pass;
  readonly byTexts?: Pass;
}

type Run = Readonly<Record<string, AttributeFigures>>;

function measureWays(): Record<Way, Run[]> {
  const runs: Record<Way, Run[]> = { bare: [], 'decoder+map': [], 'buffer+map': [], interner: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of WAYS) {
      const args = ['--expose-gc', '--conditions=source', SCRIPT, PLAYLISTS, way];
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      runs[way].push(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Run);
      console.log(`  round ${round + 1}: ${way}`);
    }
  }
  return runs;
}

/** One figure of one attribute over the rounds: the median, and least and most. */
function over(runs: readonly Run[], attribute: string, pick: (figures: AttributeFigures) => number) {
  const all = runs.map((run) => pick(run[attribute]!));
  return { middle: median(all), least: Math.min(...all), most: Math.max(...all) };
}

type Runs = Record<Way, Run[]>;

function timeRows(runs: Runs, attributes: readonly string[], pick: (figures: AttributeFigures) => Pass) {
  return attributes.map((attribute) => {
    const ns = (way: Way, of: keyof Pass) => over(runs[way], attribute, (figures) => pick(figures)[of]);
    const cells = (of: keyof Pass) => {
      const [rival, buffer, own] = [ns('decoder+map', of), ns('buffer+map', of), ns('interner', of)];
      return [
        rival.middle.toFixed(0),
        buffer.middle.toFixed(0),
        `${own.middle.toFixed(0)} (${own.least.toFixed(0)}-${own.most.toFixed(0)})`,
        times(rival.middle / own.middle),
        times(buffer.middle / own.middle),
      ];
    };
    return [attribute, ...cells('firstNs'), ...cells('againNs')];
  });
}

function byteRows(runs: Runs, attributes: readonly string[]) {
  return attributes.map((attribute) => {
    const { count, unique, textBytes, uniqueTextBytes } = runs.interner[0]![attribute]!;
    const bytes = (way: Way) => over(runs[way], attribute, (figures) => figures.retainedBytes).middle;
    const [bare, map, own] = [bytes('bare'), bytes('decoder+map'), bytes('interner')];
    const kb = (value: number) => `${(value / 1_000).toFixed(0)} KB`;
    const percent = (value: number) => `${(100 * value).toFixed(0)}%`;
    return [
      attribute,
      String(count),
      percent(1 - unique / count),
      percent(1 - uniqueTextBytes / textBytes),
      kb(bare),
      kb(map),
      kb(own),
      percent(1 - own / bare),
      percent(1 - map / bare),
    ];
  });
}

export async function benchAttributes(): Promise<void> {
  if (!existsSync(PLAYLISTS)) {
    console.log(`left out: there are no playlists at ${PLAYLISTS}`);
    return;
  }
  const runs = measureWays();
  const attributes = Object.keys(runs.interner[0]!);
  const twice = ['TextDecoder + Map', 'Buffer + Map', 'interner (least-most)', 'of the first', 'of the second'];
  const head = ['ns a string', ...twice, ...twice.map((cell) => `again: ${cell}`)];
  const texts = timeRows({ ...runs, 'buffer+map': runs['decoder+map'] }, attributes, (figures) => figures.byTexts!).map(
    ([name, map, , own, ratio, , mapAgain, , ownAgain, ratioAgain]) => [
      name!,
      map!,
      own!,
      ratio!,
      mapAgain!,
      ownAgain!,
      ratioAgain!,
    ],
  );
  writeSection({
    id: 'intern-attributes',
    title: 'Strings for the attributes of playlists',
    command: 'npm run bench -- intern attributes',
    body: `Every value of seven attributes in public playlists (\`../shared/data/m3u\`), in order, out of one buffer. Medians of ${ROUNDS} fresh processes in turn, each the least
of 5 times with an empty container: the first time through, where new strings are made, and again, where all are known. More than 1x: the interner is faster.

### From bytes

${table(
  head,
  timeRows(runs, attributes, (figures) => figures.byBytes),
)}

### From strings that are there

\`intern(text)\` against \`get\` and \`set\` of a bare Map, which has no bound, copies nothing, and finds the hash of a string in the string the second time.

${table(['ns a string', 'Map', 'interner (least-most)', 'of the Map', 'again: Map', 'again: interner', 'again: of the Map'], texts)}

### What is kept

String bytes: one string for each text against one for each value, without any index. The rest is heap and buffers after a collection, while every string is held: a string for each value, with a Map, with the interner (its index and 3 KB of its own in it). An array of as many pointers is not counted.

${table(['', 'values', 'repeated', 'string bytes saved', 'strings as such', 'with a Map', 'with the interner', 'saved', 'saved by a Map'], byteRows(runs, attributes))}`,
  });
}
