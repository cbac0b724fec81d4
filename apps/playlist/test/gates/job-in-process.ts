/** Runs the main job inside this process, with pressure, refusals and plugins as a test wants them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGovernor, type Governor, type Meter, type PressureLevel } from 'plimsoll';
import type { PipelineMode, PluginRunner } from 'plimsoll/pipeline';
import { loadConfig } from '../../src/config/load-config.ts';
import { generate } from '../../src/generate.ts';
import { formatRunReport, type RunReport } from '../../src/report/run-report.ts';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { generateXmltv } from '../../src/sample/generate-xmltv.ts';

export const SORTS = ['none', 'name', 'group'] as const;
export type Sort = (typeof SORTS)[number];

const MIB = 1 << 20;
const LIMIT_BYTES = 512 * MIB;
export const PLUGIN_DIR = join(import.meta.dirname, '..', '..', '..', '..', 'plugins', 'dist');

export interface JobOptions {
  readonly sort: Sort;
  readonly plugins?: boolean;
  readonly selection?: 'memory-efficient' | 'fastest';
  readonly batchBytes?: number;
  /** Default: all that come with the program. */
  readonly pluginDir?: string;
  /** Further lines of `[memory]`. */
  readonly memory?: string;
  /** TOML for which the others leave room: tables of their own. */
  readonly settings?: string;
  readonly mode?: 'auto' | PipelineMode;
  readonly dryRun?: boolean;
  /** What the process takes, as the pipeline sees it. Default 100 MiB. */
  readonly rssBytes?: number;
  /** The level at the nth look of the pipeline. Default `optimal`. */
  readonly levelAt?: (look: number) => PressureLevel;
  /** Whether the nth asking for bytes, from 1, is refused. Default: none is. */
  readonly refuses?: (asking: number) => boolean;
  readonly wrapPlugins?: (runner: PluginRunner) => PluginRunner;
  readonly beforePluginStart?: () => void;
  readonly signal?: AbortSignal;
}

export interface JobOutcome {
  readonly error: unknown;
  readonly report: RunReport | undefined;
  /** What the user is shown of it. */
  readonly shown: string;
  /** How often bytes were asked for. */
  readonly askings: number;
  /** What is still reserved. */
  readonly heldBytes: number;
}

/** A folder with lists, a guide, and what came of them. */
export class JobFolder {
  readonly dir: string;
  readonly out: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.out = join(dir, 'out');
  }

  /** `seed` makes another edition of the same. */
  static async make(dir: string, size: { readonly channels: number; readonly guideBytes: number }): Promise<JobFolder> {
    mkdirSync(dir, { recursive: true });
    for (const seed of [1, 2]) {
      const playlist = { channels: size.channels, seed };
      await generateM3u({ path: join(dir, `list-${seed}.m3u`), ...playlist });
      if (size.guideBytes === 0) continue;
      await generateXmltv({
        path: join(dir, `guide-${seed}.xml`),
        bytes: size.guideBytes,
        seed,
        playlist,
        repeatEvery: 9,
      });
    }
    return new JobFolder(dir);
  }

  /** Names in the output folder, the published ones and the kept copies left out: there should be none. */
  leftovers(): string[] {
    if (!existsSync(this.out)) return [];
    return readdirSync(this.out).filter((name) => !/^(job\.(m3u8|xmltv|unmatched\.txt)|\.cache)$/.test(name));
  }

  /** What is published. */
  files(): Readonly<Record<string, string>> {
    const read = (name: string): string =>
      existsSync(join(this.out, name)) ? readFileSync(join(this.out, name), 'latin1') : '';
    return { playlist: read('job.m3u8'), guide: read('job.xmltv'), unmatched: read('job.unmatched.txt') };
  }

  async run(edition: 1 | 2, options: JobOptions): Promise<JobOutcome> {
    const { sort, plugins = false, batchBytes, selection = 'memory-efficient', signal } = options;
    const { pluginDir = PLUGIN_DIR, settings = '', memory = '' } = options;
    const guide = join(this.dir, `guide-${edition}.xml`);
    const lines = [
      `[[source]]\nname = "list"\npath = "list-${edition}.m3u"`,
      existsSync(guide) ? `[[guide]]\npath = "guide-${edition}.xml"` : '',
      '[[rule]]\nwhen = \'group_title contains "sport"\'\nset = \'group_title = "Sports"\'',
      '[[filter]]\nexclude = \'channel_name ends_with "7"\'',
      settings,
      '[mapping]\ntidy_names = true',
      '[cache]\nshrink_limit = 0',
      `[memory]\n${memory}\n${batchBytes === undefined ? '' : `batch_size = "${Math.ceil(batchBytes / 1024)}KiB"`}`,
      `[plugins]\nenabled = ${plugins}\ndir = ${JSON.stringify(pluginDir)}\nselection = "${selection}"\ntimeout = "60s"\nmax_total_memory = "128MiB"`,
      `[output]\nname = "job"\nsort = "${sort}"`,
    ];
    const file = join(this.dir, 'job.toml');
    writeFileSync(file, `${lines.join('\n')}\n`);
    const config = loadConfig({ file, env: {} });
    const gate = new RefusingMeter(options.refuses ?? (() => false));
    using governor = createGovernor({
      limitBytes: LIMIT_BYTES,
      runtimeBytes: 0,
      meters: [gate],
      mode: 'on',
      root: '/nowhere',
      sampleEveryBytes: 1,
    });
    gate.governor = governor;
    let look = 0;
    const outcome = { error: undefined as unknown, report: undefined as RunReport | undefined, shown: '' };
    try {
      const { report, pipeline } = await generate(config, {
        governor,
        dryRun: options.dryRun ?? false,
        signal: signal ?? new AbortController().signal,
        mode: options.mode ?? 'auto',
        probe: {
          sample: () => ({
            rssBytes: options.rssBytes ?? 100 * MIB,
            ledgerBytes: governor.heldBytes,
            level: options.levelAt?.(look++) ?? 'optimal',
          }),
        },
        ...(options.wrapPlugins && { wrapPlugins: options.wrapPlugins }),
        ...(options.beforePluginStart && { beforePluginStart: options.beforePluginStart }),
      });
      outcome.report = report;
      outcome.shown = formatRunReport(report, pipeline);
    } catch (error) {
      outcome.error = error;
    }
    return { ...outcome, askings: gate.askings, heldBytes: governor.heldBytes };
  }
}

/** Each request for bytes passes it, with a sample before every byte granted; a refusal is a real one: the limit falls to what is held and rises again right after. */
class RefusingMeter implements Meter {
  readonly name = 'ledger' as const;
  readonly limitBytes = 2 ** 50;
  governor: Governor | undefined;
  askings = 0;
  #isLow = false;
  readonly #refuses: (asking: number) => boolean;

  constructor(refuses: (asking: number) => boolean) {
    this.#refuses = refuses;
  }

  read(): number {
    const { governor } = this;
    if (governor === undefined) return 0;
    const low = this.#refuses(++this.askings);
    if (low !== this.#isLow) governor.tune({ limitBytes: low ? Math.max(1, governor.heldBytes) : LIMIT_BYTES });
    this.#isLow = low;
    return 0;
  }
}
