import type { Faults } from './faults.ts';

/** What Node's documentation of `process.report` has, as far as it is used here. */
interface ReportSettings {
  reportOnFatalError: boolean;
  directory: string;
  filename: string;
  excludeNetwork?: boolean;
}

const KEYS = ['reportOnFatalError', 'directory', 'filename', 'excludeNetwork'] as const;
const FLAG = '--report-exclude-env';

/**
 * Has Node write a report of its own, `plimsoll-report-<pid>.json`, when V8 runs out of heap where no JavaScript runs any more: V8's spaces, how the
 * process was started, its use of resources; no JavaScript stack, V8 has none to give then. About 10 KB, and nothing before that. These settings are
 * the whole process's; disposing puts back what was there.
 *
 * A report has the environment in it, which often has secrets. Node is told to leave it out by its flag `--report-exclude-env` (22.13 and later), on
 * the command line or in `NODE_OPTIONS`: without it nothing is switched on, and a fault says so. `process.report.excludeEnv` is not enough: measured on
 * Node 24, most reports of a full heap have the environment all the same, because V8 is in no context then and Node does not find the setting.
 */
export class NodeReport implements Disposable {
  readonly #before: ReportSettings | undefined;
  readonly #folder: string;

  constructor(folder: string, faults: Faults) {
    this.#folder = folder;
    try {
      const report = settings();
      if (report === undefined) throw new Error('this Node writes no reports');
      if (![...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)].includes(FLAG)) {
        throw new Error(`start node with ${FLAG} (22.13 and later): a report would have the environment in it`);
      }
      this.#before = Object.fromEntries(KEYS.map((key) => [key, report[key]])) as unknown as ReportSettings;
      const filename = `plimsoll-report-${process.pid}.json`;
      Object.assign(report, { directory: folder, filename, excludeNetwork: true, reportOnFatalError: true });
    } catch (cause) {
      faults.note('node report', cause, true);
    }
  }

  [Symbol.dispose](): void {
    const report = settings();
    // Somebody else has set it up anew: it is theirs now.
    if (this.#before === undefined || report?.directory !== this.#folder) return;
    Object.assign(report, this.#before);
  }
}

function settings(): ReportSettings | undefined {
  return process.report as ReportSettings | undefined;
}
