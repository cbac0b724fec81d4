/** Where a run spills: a folder that is there from the beginning, so that what killed runs left there goes, and is gone at the end. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PlimsollError, type SpillEvent } from 'plimsoll';
import { isSpillForced, SpillFolder } from 'plimsoll/spill';
import type { PlaylistConfig } from './config/config.ts';
import { ConfigError } from './config/config-error.ts';
import { ensureFolder } from './output/ensure-folder.ts';
import type { Workspace } from './output/workspace.ts';

export interface JobSpillOptions {
  readonly config: PlaylistConfig;
  readonly workspace: Workspace;
  /** Then nothing may be left in the output folder, not even for a moment: the workspace is elsewhere. */
  readonly dryRun: boolean;
}

/** What went to the disk, so far or in the whole run. */
export interface SpillTally {
  /** Before compression. */
  readonly rawBytes: number;
  readonly files: number;
  readonly peakDiskBytes: number;
  /** Folders of killed runs that were removed at the start. */
  readonly leftoversRemoved: number;
}

/** What the place is at fault for, by the system's code, as against a disk that is full or fails: that may be different the next time. */
const AT_FAULT: Readonly<Record<string, string | undefined>> = {
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: undefined,
  ENOTDIR: undefined,
  EEXIST: undefined,
  ELOOP: 'its links go round in a circle',
  ENAMETOOLONG: 'its name is too long',
};

function whyNotThere(cause: unknown): string | undefined {
  // What the library says has the system's word as its cause.
  const { code, message } = Object(cause instanceof PlimsollError ? cause.cause : cause) as NodeJS.ErrnoException;
  return code !== undefined && Object.hasOwn(AT_FAULT, code) ? (AT_FAULT[code] ?? message) : undefined;
}

const SPILL_CHANNEL = 'plimsoll:spill';
/** Of the parts of a run that spill there may be a few at once. */
const MAX_FILES = 256;

export class JobSpill implements AsyncDisposable {
  /** Undefined where spilled bytes would be memory again. */
  readonly folder: SpillFolder | undefined;
  /** Whether everything is to go by way of the disk (`PLIMSOLL_FORCE_SPILL=1`). */
  readonly isForced: boolean;
  /** Made for the run, or its own anyway: goes at the end. One that was named and there before stays. */
  readonly #ownDir: string | undefined;
  /** By run: what it said last. */
  readonly #runs = new Map<string, SpillEvent>();
  #rawBytes = 0;
  #files = 0;
  #peakDiskBytes = 0;
  readonly #onSpill = (event: unknown): void => this.#note(event as SpillEvent);

  private constructor(ownDir: string | undefined, folder: SpillFolder | undefined, isForced: boolean) {
    this.#ownDir = ownDir;
    this.folder = folder;
    this.isForced = isForced;
    if (folder !== undefined) subscribe(SPILL_CHANNEL, this.#onSpill);
  }

  get tally(): SpillTally {
    let rawBytes = this.#rawBytes;
    let files = this.#files;
    for (const run of this.#runs.values()) {
      rawBytes += run.rawBytes;
      files += run.filesMade;
    }
    const leftoversRemoved = this.folder?.stats.leftoversRemoved ?? 0;
    return { rawBytes, files, peakDiskBytes: this.#peakDiskBytes, leftoversRemoved };
  }

  /**
   * A configured folder that is in memory is a mistake, and so is any while spilling is forced. That the output is there is none: such a run does not spill, and
   * where it should have, it ends with what its memory limit says.
   */
  static async open({ config, workspace, dryRun }: JobSpillOptions): Promise<JobSpill> {
    const { dir, maxBytes } = config.memory.spill;
    const isUsual = dirname(dir) === config.output.dir;
    const parentDir = dryRun && isUsual ? join(workspace.dir, 'spill') : dir;
    const isForced = isSpillForced();
    const ownDir = isUsual || (await stat(parentDir).catch(() => undefined)) === undefined ? parentDir : undefined;
    try {
      await ensureFolder(parentDir, 0o700);
      const folder = await SpillFolder.open(parentDir, { maxBytes, maxFiles: MAX_FILES });
      return new JobSpill(ownDir, folder, isForced);
    } catch (cause) {
      if (ownDir !== undefined) await rmdir(ownDir).catch(() => {});
      const why = whyNotThere(cause);
      if (why !== undefined) {
        const line = `[memory] spill_dir (--spill-dir): no folder can be made or written to at ${parentDir} (${why}): name a folder on a disk that this user may write to`;
        throw new ConfigError([line], cause);
      }
      if ((cause as NodeJS.ErrnoException).code !== 'PLIMSOLL_SPILL_MEMORY_BACKED') throw cause;
      if (isUsual && !isForced) return new JobSpill(ownDir, undefined, false);
      const line = `[memory] spill_dir: ${parentDir} is on a file system that is memory (tmpfs), where spilling frees nothing: name a folder on a disk`;
      throw new ConfigError([line], cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.folder !== undefined) unsubscribe(SPILL_CHANNEL, this.#onSpill);
    await this.folder?.[Symbol.asyncDispose]();
    // Whoever else spills there keeps it.
    if (this.#ownDir !== undefined) await rmdir(this.#ownDir).catch(() => {});
  }

  /** Runs of one name follow each other, or stand beside each other: then the figures of the one that spoke last stand for both until they end. */
  #note(event: SpillEvent): void {
    if (event.dir !== this.folder?.dir) return;
    this.#peakDiskBytes = Math.max(this.#peakDiskBytes, this.folder.stats.diskBytes);
    if (!event.ended) {
      this.#runs.set(event.run, event);
      return;
    }
    this.#runs.delete(event.run);
    this.#rawBytes += event.rawBytes;
    this.#files += event.filesMade;
  }
}
