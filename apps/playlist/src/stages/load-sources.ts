import type { Source, StageContext } from 'plimsoll/pipeline';
import { EntryBatch, type EntryOrigin } from '../channels/entry-batch.ts';
import { M3uScanner, PROBLEM_TEXT } from '../m3u/scan.ts';
import type { ProblemLog } from '../report/problem-log.ts';
import type { ByteSource } from '../sources/byte-source.ts';
import { maskText } from '../sources/mask.ts';
import { utf8Source } from '../sources/text-source.ts';

/** One list to read: a local file, or what was fetched. */
export interface PlaylistInput {
  readonly origin: EntryOrigin;
  /** Number of the `[[source]]` it belongs to, from 0. */
  readonly sourceIndex: number;
  open(): Promise<ByteSource>;
}

export interface LoadOptions {
  readonly inputs: AsyncIterable<PlaylistInput>;
  readonly problems: ProblemLog;
  /** Text a batch holds at most, bytes, and the longest entry: one and a half of it. Under pressure batches are smaller, as `context.batchBytes` says. */
  readonly batchBytes: number;
  /** After each list: how many entries it had. */
  readonly onInput?: (input: PlaylistInput, entryCount: number) => void;
  /** What is behind `#EXTM3U` of a list, each time it stands there. */
  readonly onHeader?: (input: PlaylistInput, header: string) => void;
  /** Something the user may want to know, one line. */
  readonly onNote?: (line: string) => void;
}

/** Rows for entries of about 100 bytes on the average: a batch of shorter ones just holds fewer bytes. */
const BYTES_PER_ROW = 100;
/** What rules may add before the batch has to be enlarged. */
const ROOM_FOR_EDITS = 1.5;

/** Reads the lists one after another into one batch that is filled again and again. */
export function loadSources(options: LoadOptions): Source<EntryBatch> {
  return {
    name: 'Source Loading',
    can: { streaming: true },
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *open(context) {
      const textBytes = Math.floor(options.batchBytes * ROOM_FOR_EDITS);
      const rows = Math.ceil(options.batchBytes / BYTES_PER_ROW);
      using _reservation = context.memory.reserve(textBytes + rows * EntryBatch.ROW_BYTES);
      const batch = new EntryBatch(textBytes, rows);
      for await (const input of options.inputs) {
        batch.origin = input.origin;
        batch.sourceIndex = input.sourceIndex;
        yield* readInput(input, batch, options, context);
      }
    },
  };
}

async function* readInput(
  input: PlaylistInput,
  batch: EntryBatch,
  options: LoadOptions,
  context: StageContext,
): AsyncGenerator<EntryBatch> {
  const bytes = await input.open();
  await using source = utf8Source(bytes, {
    onEncoding: (name) => options.onNote?.(`${bytes.label} is read as ${name}`),
  });
  const scanner = new M3uScanner({
    onProblem: (line, kind, detail) => options.problems.add(source.label, line, PROBLEM_TEXT[kind], maskText(detail)),
    onHeader: (header) => options.onHeader?.(input, header),
  });
  let entryCount = 0;
  let carried = 0;
  let target = batchTarget(options, context);
  for (let final = false; (!final || carried > 0) && !scanner.refused; ) {
    let length = carried;
    while (!final && length < target) {
      const read = await source.read(batch.bytes, length, target - length);
      if (read === 0) final = true;
      length += read;
      context.advance({ bytesIn: read });
    }
    batch.clear();
    const consumed = scanner.scan(batch, length, final);
    entryCount += batch.count;
    if (batch.count > 0) yield batch;
    batch.bytes.copyWithin(0, consumed, length);
    carried = length - consumed;
    // An entry longer than the batch: try the whole buffer before the scanner gives it up.
    target = consumed > 0 ? batchTarget(options, context) : batch.bytes.length;
  }
  options.onInput?.(input, entryCount);
}

function batchTarget({ batchBytes }: LoadOptions, context: StageContext): number {
  return Math.max(1, Math.min(batchBytes, context.batchBytes));
}
