import type { SegmentWriter, SpillFolder, SpillRun } from '../spill/index.ts';

export interface OperatorSpillOptions {
  readonly name: string;
  readonly folder: SpillFolder;
  readonly maxBytes: number;
  readonly maxFiles: number;
  readonly maxBatchBytes: number;
  readonly bufferBytes: number;
}

/** What an operator has on the disk: nothing is made there before the first segment. Whoever made it disposes it, and nothing is left there. */
export class OperatorSpill implements AsyncDisposable {
  readonly #options: OperatorSpillOptions;
  #run: SpillRun | undefined;

  constructor(options: OperatorSpillOptions) {
    this.#options = options;
  }

  async create(): Promise<SegmentWriter> {
    const { folder, ...options } = this.#options;
    this.#run ??= folder.openRun(options);
    return await this.#run.create();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run?.[Symbol.asyncDispose]();
  }
}
