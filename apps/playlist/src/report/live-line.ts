import type { PipelineProgress } from 'plimsoll/pipeline';

/** Where a run stands. */
export interface JobProgress extends PipelineProgress {
  /** What went to the disk so far, for want of memory. */
  readonly spilledBytes: number;
  readonly spillFiles: number;
}

/** Where progress is shown: a terminal's one live line, plain lines in a pipe, or nowhere. */
export interface LiveLine extends Disposable {
  show(progress: JobProgress, limitBytes: number): void;
}

interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const PIPE_EVERY_MS = 2000;

/** `quiet` shows nothing. In a pipe a line is written when the stage changes and every two seconds. */
export function liveLine(screen: Screen, quiet: boolean): LiveLine {
  if (quiet) return { show() {}, [Symbol.dispose]() {} };
  return screen.isTTY === true ? terminalLine(screen) : pipeLines(screen);
}

function terminalLine(screen: Screen): LiveLine {
  let shown = false;
  return {
    show(progress, limitBytes) {
      const width = Math.max(20, (screen.columns ?? 80) - 1);
      screen.write(`\r\x1b[2K${describe(progress, limitBytes).slice(0, width)}`);
      shown = true;
    },
    [Symbol.dispose]() {
      if (shown) screen.write('\r\x1b[2K');
      shown = false;
    },
  };
}

function pipeLines(screen: Screen): LiveLine {
  let stage = '';
  let nextAt = 0;
  return {
    show(progress, limitBytes) {
      if (progress.stage === stage && progress.elapsedMs < nextAt) return;
      stage = progress.stage;
      nextAt = progress.elapsedMs + PIPE_EVERY_MS;
      screen.write(`${describe(progress, limitBytes)}\n`);
    },
    [Symbol.dispose]() {},
  };
}

const MIB = 2 ** 20;

function describe(
  { stage, itemsIn, itemsOut, bytesIn, elapsedMs, rssBytes, spilledBytes, spillFiles }: JobProgress,
  limitBytes: number,
): string {
  const items = Math.max(itemsIn, itemsOut);
  const done = [
    ...(items > 0 ? [items.toLocaleString('en-US')] : []),
    ...(bytesIn > 0 ? [`${(bytesIn / MIB).toFixed(1)} MiB read`] : []),
    ...(spillFiles > 0 ? [`${(spilledBytes / MIB).toFixed(1)} MiB spilled (${spillFiles} files)`] : []),
  ];
  const memory = `memory ${(rssBytes / MIB).toFixed(0)} of ${(limitBytes / MIB).toFixed(0)} MiB`;
  return `${(elapsedMs / 1000).toFixed(1).padStart(5)}s  ${stage}${done.length > 0 ? `: ${done.join(', ')}` : ''}  ${memory}`;
}
