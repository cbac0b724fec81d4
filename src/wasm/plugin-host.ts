import type { Clock } from '../clock.ts';
import type { Governor } from '../governor/index.ts';
import type { SpillFolder } from '../spill/index.ts';
import type { OpenOptions, Plugin, PluginInstance } from './plugin-contract.ts';

export interface PluginHostOptions {
  /** Of the consumers in the ledger: 1 to 100 characters. Default `plugins`. */
  readonly name?: string;
  /** Linear memory of all instances of one plugin together, bytes. Required. */
  readonly maxPluginBytes: number;
  /** Linear memory of all instances together, bytes. Required. */
  readonly maxTotalBytes: number;
  /** The most that one call may take, ms, 1 up. Default 10,000. */
  readonly timeoutMs?: number;
  /** So many failures and a plugin is off, 1 up. Default 3. */
  readonly maxFailures?: number;
  /** The most that one call may put out, bytes. Default 8 MiB. */
  readonly maxOutputBytes?: number;
  /** Where plugins may spill; without one `spill_write` says that there is none. Dispose it after the host. */
  readonly spill?: SpillFolder;
  /** What one instance may have on disk, bytes. Required with `spill`. */
  readonly maxSpillBytes?: number;
  /** A thread, or a process for each. Default `worker`. */
  readonly isolation?: 'worker' | 'process';
  /** Workers without an instance that are kept ready. Default 1. */
  readonly warmInstances?: number;
  readonly governor?: Governor;
  readonly clock?: Clock;
  /** What plugins log: level 0 (debug) to 3 (error), one line. */
  readonly onLog?: (plugin: Plugin, level: number, line: string) => void;
}

/** Runs plugins. */
export class PluginHost implements AsyncDisposable {
  readonly options: PluginHostOptions;

  constructor(options: PluginHostOptions) {
    this.options = options;
  }

  /** Starts an instance; its `maxHeapBytes` is charged before. */
  open(_plugin: Plugin, _options: OpenOptions): Promise<PluginInstance> {
    return Promise.reject(new Error('there is no host yet'));
  }

  isOff(_plugin: Plugin): boolean {
    return false;
  }

  failures(_plugin: Plugin): number {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
