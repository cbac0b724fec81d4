import { rmSync } from 'node:fs';
import { demand, type Gate, median, mib } from '../../../../test/gates/gate.ts';
import { dropFixture, freshDir, guideFixture, listFixture } from './fixtures.ts';
import { runApp } from './run-app.ts';

const RUNS = 3;
const MOST_BYTES_A_CHANNEL = 80;
/** Two medians of three of the same job differ by less than this; a guide that was held would show in hundreds of MiB. */
const NOISE_BYTES = 4 * 1_048_576;
/** The same line for all runs, so that heap flags and batch sizes are the same. */
const FLAGS = ['--memory-limit', '192MiB'];
const MANY = 1_000_000;
const FEW = 100_000;

async function peakOf(dir: string, lists: readonly string[], guides: readonly string[]): Promise<number> {
  const peaks: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const run = await runApp({ dir, lists, guides, flags: FLAGS });
    demand(run.exitCode === 0, `exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
    peaks.push(run.rssPeakBytes);
  }
  return median(peaks);
}

/** Peak RSS is the kernel's VmHWM of the process, read from outside. */
export const flatPeakGate: Gate = {
  name: 'flat-peak',
  promise:
    'peak RSS grows by at most 80 bytes a channel from 100,000 to 1,000,000, and not with the guide (100 MB, 1 GB, 4 GB)',
  async run(say) {
    const dir = freshDir('flat-peak');
    try {
      const few = await peakOf(dir, [(await listFixture(FEW)).path], []);
      say(`100,000 channels: ${mib(few)}`);
      const many = await peakOf(dir, [(await listFixture(MANY)).path], []);
      const each = (many - few) / (MANY - FEW);
      say(`1,000,000 channels: ${mib(many)}, ${each.toFixed(1)} bytes a channel`);
      const list = await listFixture(FEW);
      const guides: number[] = [];
      for (const [bytes, ending] of [
        [100_000_000, 'xml'],
        [1_000_000_000, 'xml'],
        [4_000_000_000, 'xml'],
      ] as const) {
        const guide = await guideFixture(bytes, FEW, ending);
        guides.push(await peakOf(dir, [list.path], [guide.path]));
        if (bytes > 1_000_000_000) dropFixture(guide);
        say(`guide of ${bytes / 1e6} MB: ${mib(guides.at(-1)!)}`);
      }
      const growth = Math.max(...guides) - guides[0]!;
      const figures =
        `VmHWM, medians of ${RUNS}: 100k channels ${mib(few)}, 1M ${mib(many)}: ${each.toFixed(1)} bytes a channel (at most ${MOST_BYTES_A_CHANNEL}); ` +
        `guide 100 MB, 1 GB, 4 GB: ${guides.map(mib).join(', ')} (growth ${mib(growth)}, noise up to ${mib(NOISE_BYTES)})`;
      demand(each <= MOST_BYTES_A_CHANNEL && growth <= NOISE_BYTES, figures);
      return figures;
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
