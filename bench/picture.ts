/**
 * Draws `docs/flat-memory.svg` from measured samples: the same job in the same kernel limit, as a whole-file script and
 * as the application. `npm run bench -- picture`.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { freshDir, guideFixture, listFixture } from '../apps/playlist/test/gates/fixtures.ts';
import { runApp } from '../apps/playlist/test/gates/run-app.ts';
import { SMALL_CASE } from '../apps/playlist/test/gates/survival.ts';
import { type MemorySample, runInLimit } from '../test/cgroup/run-in-limit.ts';
import { BENCH_DIR, installRivals, PROJECT_DIR } from './measure.ts';

const MIB = 1 << 20;
const SAMPLE_MS = 5;
/** A process that ends gives its memory back over a reading or two: those below this part of its peak are left out. */
const HANDING_BACK = 0.85;
/** Seen on a white page and on a dark one. */
const COLOUR = { text: '#7d8590', grid: '#7d859040', limit: '#d29922', killed: '#e5534b', finished: '#2f9e8f' };

type Point = [seconds: number, mebibytes: number];

export async function drawPicture(): Promise<void> {
  installRivals();
  const { channels, guideBytes, limitBytes } = SMALL_CASE;
  const list = await listFixture(channels);
  const guide = await guideFixture(guideBytes, channels);
  const dir = freshDir('picture');
  try {
    const killed: Point[] = [];
    const naive = await runInLimit({
      command: process.execPath,
      args: [join(BENCH_DIR, 'naive', 'naive-job.mjs'), list.path, guide.path, dir],
      limitBytes,
      sampleMs: SAMPLE_MS,
      onSample: (sample) => killed.push(point(sample)),
      env: { NODE_OPTIONS: undefined },
    });
    const finished: Point[] = [];
    const app = await runApp({
      dir,
      lists: [list.path],
      guides: [guide.path],
      limitBytes,
      sampleMs: SAMPLE_MS,
      onSample: (sample) => finished.push(point(sample)),
    });
    if (!naive.oomKilled || app.exitCode !== 0) {
      throw new Error(
        `Expected one killed and one finished, got ${naive.exitCode ?? naive.signal} and ${app.exitCode ?? app.signal}`,
      );
    }
    mkdirSync(join(PROJECT_DIR, 'docs'), { recursive: true });
    const path = join(PROJECT_DIR, 'docs', 'flat-memory.svg');
    writeFileSync(path, draw(alive(killed, 'killed'), alive(finished, 'finished'), limitBytes / MIB));
    console.log(
      `docs/flat-memory.svg: killed after ${naive.elapsedMs.toFixed(0)} ms, finished after ${app.elapsedMs.toFixed(0)} ms`,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const point = ({ elapsedMs, anonymousBytes }: MemorySample): Point => [elapsedMs / 1000, anonymousBytes / MIB];

/** From the first page to the end: of what was killed, its peak; of what finished, the last reading before its memory is handed back. */
function alive(points: readonly Point[], was: 'killed' | 'finished'): Point[] {
  const first = points.findIndex(([, mebibytes]) => mebibytes > 1);
  const most = Math.max(...points.map(([, mebibytes]) => mebibytes));
  const level = was === 'killed' ? most : most * HANDING_BACK;
  const last = points.findLastIndex(([, mebibytes]) => mebibytes >= level);
  const start = points[first]![0];
  return points
    .slice(first, last + 1)
    .map(([at, mebibytes]) => [Number((at - start).toFixed(3)), Number(mebibytes.toFixed(2))]);
}

interface Chart {
  setOption(option: unknown): void;
  renderToSVGString(): string;
  dispose(): void;
}

function draw(killed: readonly Point[], finished: readonly Point[], limit: number): string {
  const require = createRequire(join(BENCH_DIR, 'rivals', 'package.json'));
  const echarts = require('echarts') as { init(dom: null, theme: null, options: unknown): Chart };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 860, height: 360 });
  const text = (colour: string, size = 13) => ({ color: colour, fontSize: size, fontFamily: 'system-ui, sans-serif' });
  const label = (name: string, colour: string, at: Point, position: string, offset: readonly number[]) => ({
    coord: at,
    symbol: 'circle',
    symbolSize: 9,
    itemStyle: { color: colour },
    label: { show: true, formatter: name, position, offset, ...text(colour), fontWeight: 600 },
  });
  const line = (data: readonly Point[], colour: string, marks: readonly unknown[]) => ({
    type: 'line',
    data,
    showSymbol: false,
    lineStyle: { width: 2.5, color: colour },
    areaStyle: { color: colour, opacity: 0.12 },
    markPoint: { data: marks },
  });
  const end = finished.at(-1)!;
  chart.setOption({
    animation: false,
    backgroundColor: 'transparent',
    title: {
      text: '100,000 channels and a 100 MB guide in a 96 MiB container',
      left: 14,
      top: 8,
      textStyle: { ...text(COLOUR.text, 15), fontWeight: 600 },
    },
    grid: { left: 62, right: 24, top: 64, bottom: 48 },
    xAxis: axis('value', 'seconds', Math.ceil(end[0] * 10) / 10),
    yAxis: axis('value', 'MiB charged, page cache left out', Math.ceil((limit * 1.15) / 20) * 20),
    series: [
      {
        ...line(killed, COLOUR.killed, [
          label('whole files in memory: killed, exit 137', COLOUR.killed, killed.at(-1)!, 'right', [6, 16]),
        ]),
        markLine: {
          silent: true,
          symbol: 'none',
          lineStyle: { color: COLOUR.limit, type: 'dashed', width: 1.5 },
          label: { formatter: `the limit: ${limit} MiB`, position: 'insideEndTop', ...text(COLOUR.limit) },
          data: [{ yAxis: limit }],
        },
      },
      line(finished, COLOUR.finished, [
        label('plimsoll: finished, both files whole', COLOUR.finished, end, 'left', [-6, -18]),
      ]),
    ],
  });
  const title = `<title>Memory of the same job in the same limit: killed as a whole-file script, finished by plimsoll</title>`;
  const svg = chart.renderToSVGString().replace(/^<svg[^>]*>/, (open) => `${open}${title}`);
  chart.dispose();
  return `${svg}\n`;

  function axis(type: string, name: string, max: number) {
    return {
      type,
      name,
      max,
      min: 0,
      nameLocation: 'middle',
      nameGap: name === 'seconds' ? 28 : 42,
      nameTextStyle: text(COLOUR.text),
      axisLabel: { ...text(COLOUR.text, 12), showMaxLabel: name !== 'seconds' },
      axisLine: { show: name === 'seconds', lineStyle: { color: COLOUR.text } },
      splitLine: { show: name !== 'seconds', lineStyle: { color: COLOUR.grid } },
    };
  }
}
