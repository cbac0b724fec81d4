import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { PlimsollError } from 'plimsoll';
import { demand, GateFailure } from '../../../../test/gates/gate.ts';
import { describeError, exitCodeOf } from '../../src/report/describe-error.ts';
import { generateXmltv } from '../../src/sample/generate-xmltv.ts';
import { FailingFs, type FileFault } from './failing-fs.ts';
import { JobFolder, type JobOptions, type JobOutcome, PLUGIN_DIR } from './job-in-process.ts';
import { codeOf } from './same-bytes-modes.ts';

/** What fails: a call of the file system, a request for bytes, the start of a plugin's worker. */
export type Fault =
  | FileFault
  | { readonly call: 'reservation'; readonly nth: number }
  | { readonly call: 'worker start'; readonly nth: number };

const OLD = 1;
const NEW = 2;
const CHANNELS = 120;
const ENDS_WITHIN_MS = 30_000;
/** Programmes whose category depends on their channel: the spool is looked into while the guide is written. */
const SETTINGS = '[[rule]]\nwhen = \'group_title equals "Sports"\'\nset = \'programme_category = "Sport"\'';

export interface Circumstances {
  readonly name: string;
  readonly job: JobOptions;
  /** Whether the inputs have been read before: then copies of them stand in for what cannot be read, else they are made. */
  readonly inputsAreKnown: boolean;
}

export const WITHOUT_PLUGINS: Circumstances = {
  name: 'without plugins',
  job: { sort: 'name', mode: 'spill', batchBytes: 16_384, settings: SETTINGS },
  inputsAreKnown: false,
};
/** In the mode `spill` the one that spills is chosen for grouping. */
export const WITH_PLUGINS: Circumstances = {
  name: 'with plugins',
  job: { ...WITHOUT_PLUGINS.job, sort: 'group', plugins: true },
  inputsAreKnown: true,
};

/** The same job again and again, over an old output, each time with another fault. */
export class FaultyJob implements Disposable {
  readonly #folder: JobFolder;
  readonly #circumstances: Circumstances;
  readonly #before: string;
  readonly #temp: string;
  readonly #environment = { PLIMSOLL_FORCE_SPILL: process.env.PLIMSOLL_FORCE_SPILL, TMPDIR: process.env.TMPDIR };
  readonly #rejections: unknown[] = [];
  readonly #onRejection = (error: unknown): void => void this.#rejections.push(error);
  #old: Readonly<Record<string, string>> = {};
  #new: Readonly<Record<string, string>> = {};
  /** Of the last run. */
  hits = 0;

  private constructor(folder: JobFolder, circumstances: Circumstances) {
    this.#folder = folder;
    this.#circumstances = circumstances;
    this.#before = join(folder.dir, 'before');
    this.#temp = join(folder.dir, 'temp');
    mkdirSync(this.#temp);
    process.env.PLIMSOLL_FORCE_SPILL = '1';
    process.env.TMPDIR = this.#temp;
    process.on('unhandledRejection', this.#onRejection);
  }

  static async make(dir: string, circumstances: Circumstances): Promise<FaultyJob> {
    const folder = await JobFolder.make(dir, { channels: CHANNELS, guideBytes: 0 });
    for (const seed of [OLD, NEW]) await makeUnorderedGuide(join(dir, `guide-${seed}.xml`), seed);
    const job = new FaultyJob(folder, circumstances);
    try {
      await job.#learn();
      return job;
    } catch (error) {
      job[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    process.off('unhandledRejection', this.#onRejection);
    for (const [name, value] of Object.entries(this.#environment)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }

  /** Throws a `GateFailure` where a run with that fault is neither right nor ends as it should. */
  async run(fault: Fault): Promise<'right' | 'error'> {
    const { out } = this.#folder;
    rmSync(out, { recursive: true, force: true });
    cpSync(this.#before, out, { recursive: true, preserveTimestamps: true });
    const outcome = await this.#runWith(fault);
    const said = `${this.#circumstances.name}, ${describeFault(fault)}`;
    const { error, report, heldBytes } = outcome;
    try {
      if (report === undefined) demandClear(error);
      const found = this.#folder.files();
      const expected = report === undefined ? this.#old : this.#new;
      for (const [name, bytes] of Object.entries(expected)) {
        if (found[name] === bytes) continue;
        const what =
          report === undefined ? `${name} is not the old one` : `${name} is not that of a run without a fault`;
        throw new GateFailure(report === undefined ? `${what}, after: ${describeError(error)}` : what);
      }
      demand(heldBytes === 0, `${heldBytes} bytes are still held`);
      this.#demandNothingLeft();
    } catch (failure) {
      if (!(failure instanceof GateFailure)) throw failure;
      throw new GateFailure(`${said}: ${failure.message}`);
    }
    return report === undefined ? 'error' : 'right';
  }

  /** What is there with and without the new run. */
  async #learn(): Promise<void> {
    const { job, inputsAreKnown } = this.#circumstances;
    for (const edition of inputsAreKnown ? ([NEW, OLD, NEW] as const) : ([OLD, NEW] as const)) {
      const { error, report } = await this.#folder.run(edition, job);
      demand(report !== undefined, `a run without a fault: ${String(error)}`);
      demand(report.spill.files > 0, 'nothing is spilled');
      demand(report.duplicates > 0 && report.programmes > 0, 'there is no duplicate, or no programme');
      demand(
        report.guides.every(({ unordered }) => unordered),
        'the guide is in order',
      );
      demand(
        report.plugins.length === (job.plugins === true ? 4 : 0),
        'other plugins are at work than there should be',
      );
      if (edition === NEW) this.#new = this.#folder.files();
      if (edition !== OLD) continue;
      this.#old = this.#folder.files();
      cpSync(this.#folder.out, this.#before, { recursive: true, preserveTimestamps: true });
    }
    const isOther = Object.keys(this.#old).every((name) => this.#old[name] !== this.#new[name]);
    demand(isOther, 'the old and the new output are the same');
    this.#demandNothingLeft();
  }

  async #runWith(fault: Fault): Promise<JobOutcome> {
    const { call, nth } = fault;
    let starts = 0;
    using files = await FailingFs.install({
      folders: [this.#folder.dir, PLUGIN_DIR],
      except: /job\.toml$/,
      ...('code' in fault && { fault }),
    });
    const running = this.#folder.run(NEW, {
      ...this.#circumstances.job,
      ...(call === 'reservation' && { refuses: (asking) => asking === nth }),
      beforePluginStart() {
        if (++starts === nth && call === 'worker start') throw new Error('injected');
      },
    });
    const outcome = await withinTime(running, describeFault(fault));
    if (call === 'reservation') this.hits = outcome.askings >= nth ? 1 : 0;
    else if (call === 'worker start') this.hits = starts >= nth ? 1 : 0;
    else this.hits = files.failed;
    return outcome;
  }

  #demandNothingLeft(): void {
    const { dir, out } = this.#folder;
    const left = [...this.#folder.leftovers(), ...readdirSync(this.#temp), ...unreferredIn(join(out, '.cache'))];
    demand(left.length === 0, `left behind: ${left.join(', ')}`);
    const open = openFilesBelow(dir);
    demand(open.length === 0, `still open: ${open.join(', ')}`);
    const rejection = this.#rejections.pop();
    demand(rejection === undefined, `a rejection that nobody handles: ${String(rejection)}`);
  }
}

/** Its last programme stands first, so that duplicates have to be looked for by way of the disk. */
async function makeUnorderedGuide(path: string, seed: number): Promise<void> {
  const playlist = { channels: CHANNELS, seed };
  await generateXmltv({ path, bytes: 60_000, channelCount: 10, seed, playlist, repeatEvery: 9 });
  const text = readFileSync(path, 'utf8');
  const first = text.indexOf('  <programme ', text.indexOf('</channel>'));
  const last = text.lastIndexOf('  <programme ');
  const end = text.lastIndexOf('</tv>');
  writeFileSync(path, text.slice(0, first) + text.slice(last, end) + text.slice(first, last) + text.slice(end));
}

/** One line with a code of ours, and exit code 1. */
function demandClear(error: unknown): void {
  const said = describeError(error);
  demand(error instanceof PlimsollError, `the error has no code of ours: ${String(error)}`);
  demand(/^PLIMSOLL_/.test(String(codeOf(error))), `the error's cause has no code of ours: ${said}`);
  demand(!/\n|fault of the program/.test(said), `the error is not one clear line: ${said}`);
  demand(exitCodeOf(error) === 1, `the exit code is ${exitCodeOf(error)}: ${said}`);
}

/** Names of copies that no state refers to, and of parts. */
function unreferredIn(cacheDir: string): string[] {
  if (!existsSync(cacheDir)) return [];
  const names = readdirSync(cacheDir);
  const states = names.filter((name) => name.endsWith('.json'));
  const referred = new Set(states);
  for (const state of states) {
    const { files } = JSON.parse(readFileSync(join(cacheDir, state), 'utf8')) as { files: { copy?: string }[] };
    for (const { copy } of files) if (copy !== undefined) referred.add(copy);
  }
  return names.filter((name) => !referred.has(name)).map((name) => `.cache/${name}`);
}

function openFilesBelow(dir: string): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(dir + sep) ? [path] : [];
    } catch {
      return [];
    }
  });
}

async function withinTime<T>(work: Promise<T>, said: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GateFailure(`${said}: the run does not end`)), ENDS_WITHIN_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function describeFault(fault: Fault): string {
  const code = 'code' in fault ? ` (${fault.code}${fault.forGood ? ' from then on' : ''})` : '';
  return `${fault.call} ${fault.nth}${code}`;
}
