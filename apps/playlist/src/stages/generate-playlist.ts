import type { Phase, StageContext } from 'plimsoll/pipeline';
import { LABEL_LENGTH_AT, MATCH_AT, NUMBER_AT, SpoolReader, type SpoolRecord } from '../channels/channel-spool.ts';
import { copyBytes } from '../channels/copy-bytes.ts';
import { wordAt } from '../channels/words.ts';
import { Match } from '../guide/match.ts';
import type { WantedChannels } from '../guide/wanted.ts';
import type { FileSink } from '../output/file-sink.ts';
import { NumberDesk, type NumberDeskOptions } from './number-desk.ts';

/** How many unmatched channels stand in the report; all of them stand in the file. */
export const SHOWN_UNMATCHED = 20;

export interface PlaylistResult {
  readonly channels: number;
  readonly matchedById: number;
  readonly matchedByAlias: number;
  readonly matchedByName: number;
  readonly unmatched: number;
  readonly shownUnmatched: readonly string[];
}

export interface PlaylistOptions extends Omit<NumberDeskOptions, 'name'> {
  readonly spool: FileSink;
  readonly largestRecordBytes: number;
  /** The indexed guides; absent when there is none. */
  readonly wanted: WantedChannels | undefined;
  readonly playlist: FileSink;
  /** One line per channel without a guide: name, tab, tvg-id. Absent when there is no guide. */
  readonly unmatched: FileSink | undefined;
  /** What `x-tvg-url` and `url-tvg` of the header say; absent when there is no guide. */
  readonly guideUrl: string | undefined;
  /** Told of each channel that has a guide, right after `wanted.resolve`. */
  readonly onMatched?: (record: SpoolRecord, number: number) => void;
}

const NAME = 'Playlist Generation';

/** Second pass: gives numbers to those that brought none, puts in the guide's ids, and writes the playlist. */
export function generatePlaylist(options: PlaylistOptions): Phase<PlaylistResult> {
  return {
    name: NAME,
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async run(context) {
      const { playlist, unmatched, spool, largestRecordBytes } = options;
      await using desk = new NumberDesk({ ...options, name: NAME }, context);
      const writer = new PlaylistWriter(options, desk);
      await writeHeader(playlist, options.guideUrl);
      using reader = new SpoolReader(spool, largestRecordBytes, context.memory);
      while (await reader.fill()) await writeBuffered(reader, writer, context);
      await desk.close();
      await playlist.finish({ sync: false });
      await unmatched?.finish({ sync: false });
      return writer.result();
    },
  };
}

/** What is in the reader's buffer: as many records at once as numbers can be asked for. */
async function writeBuffered(reader: SpoolReader, writer: PlaylistWriter, context: StageContext): Promise<void> {
  let channels = 0;
  for (;;) {
    const { mark } = reader;
    const count = await writer.number(reader);
    if (count === 0) break;
    reader.rewind(mark);
    for (let i = 0; i < count; i++) {
      const record = reader.take()!;
      const waiting = writer.makeRoom(record);
      if (waiting !== undefined) await waiting;
      writer.put(record);
    }
    channels += count;
  }
  context.advance({ itemsIn: channels, itemsOut: channels });
}

async function writeHeader(playlist: FileSink, guideUrl: string | undefined): Promise<void> {
  const url = guideUrl?.replaceAll('"', '%22');
  const header = Buffer.from(url === undefined ? '#EXTM3U\n' : `#EXTM3U x-tvg-url="${url}" url-tvg="${url}"\n`);
  await playlist.write(header, 0, header.length);
}

const isLabelled = (record: SpoolRecord): boolean => record.end > record.labelStart;
const wantsNumber = (spooled: Buffer, at: number): boolean =>
  wordAt(spooled, at + NUMBER_AT) === 0 && wordAt(spooled, at + LABEL_LENGTH_AT) === 0;

const ID = Buffer.from(' tvg-id="');
const NUMBER = Buffer.from(' tvg-chno="');
const QUOTE = 0x22;
const APOSTROPHE = 0x27;

class PlaylistWriter {
  readonly #options: PlaylistOptions;
  readonly #counts = new Float64Array(5);
  readonly #shown: string[] = [];
  readonly #desk: NumberDesk;
  #channels = 0;
  /** Of the numbers that were asked for last, which comes next. */
  #next = 0;

  constructor(options: PlaylistOptions, desk: NumberDesk) {
    this.#options = options;
    this.#desk = desk;
  }

  /** Asks for the numbers of the records that come next, and returns how many records they will do for. */
  async number(reader: SpoolReader): Promise<number> {
    const { batch } = this.#desk;
    batch.clear();
    this.#next = 0;
    let count = 0;
    const { buffer } = reader;
    for (let at = reader.pass(); at >= 0; at = reader.pass()) {
      if (wantsNumber(buffer, at)) batch.push(0);
      count++;
      if (batch.isFull) break;
    }
    await this.#desk.assign();
    return count;
  }

  makeRoom(record: SpoolRecord): Promise<void> | undefined {
    const { playlist, unmatched } = this.#options;
    const bytes = record.end - record.at + 1200;
    if (playlist.fits(bytes) && unmatched?.fits(bytes) !== false) return undefined;
    return this.#makeRoom(bytes);
  }

  put(record: SpoolRecord): void {
    const { wanted, playlist, onMatched } = this.#options;
    this.#channels++;
    const labelled = isLabelled(record);
    const number = labelled ? 0 : this.#numberOf(record);
    let match: number = Match.none;
    if (wanted !== undefined) {
      match = wanted.resolve(record.buffer, record.at + MATCH_AT);
      this.#counts[match] = this.#counts[match]! + 1;
      if (match === Match.none) this.#noteUnmatched(record);
      else onMatched?.(record, number);
    }
    const out = playlist.buffer;
    let to = playlist.at;
    to = copyBytes(out, to, record.buffer, record.headStart, record.tailStart);
    if (match === Match.alias || match === Match.name) {
      to = putId(out, to, wanted!.adopted, wanted!.adoptedStart, wanted!.adoptedEnd);
    } else if (record.nameStart > record.idStart) {
      to = putId(out, to, record.buffer, record.idStart, record.nameStart);
    }
    to = copyBytes(out, to, NUMBER, 0, NUMBER.length);
    if (labelled) to = copyBytes(out, to, record.buffer, record.labelStart, record.end);
    else to = putNumber(out, to, number);
    out[to++] = QUOTE;
    to = copyBytes(out, to, record.buffer, record.tailStart, record.labelStart);
    playlist.at = to;
  }

  result(): PlaylistResult {
    const counts = this.#counts;
    return {
      channels: this.#channels,
      matchedById: counts[Match.id]! + counts[Match.rewritten]!,
      matchedByAlias: counts[Match.alias]!,
      matchedByName: counts[Match.name]!,
      unmatched: counts[Match.none]!,
      shownUnmatched: this.#shown,
    };
  }

  #numberOf(record: SpoolRecord): number {
    return record.number !== 0 ? record.number : this.#desk.batch.numbers[this.#next++]!;
  }

  async #makeRoom(bytes: number): Promise<void> {
    const { playlist, unmatched } = this.#options;
    if (!playlist.fits(bytes)) await playlist.makeRoom(bytes);
    if (unmatched?.fits(bytes) === false) await unmatched.makeRoom(bytes);
  }

  #noteUnmatched(record: SpoolRecord): void {
    const name = record.buffer.subarray(record.nameStart, record.headStart);
    if (this.#shown.length < SHOWN_UNMATCHED) this.#shown.push(name.toString('utf8'));
    const { unmatched } = this.#options;
    if (unmatched === undefined) return;
    const out = unmatched.buffer;
    let to = unmatched.at;
    to = copyBytes(out, to, name, 0, name.length);
    out[to++] = 0x09;
    to = copyBytes(out, to, record.buffer, record.idStart, record.nameStart);
    out[to++] = 0x0a;
    unmatched.at = to;
  }
}

function putId(out: Buffer, to: number, id: Buffer, start: number, end: number): number {
  to = copyBytes(out, to, ID, 0, ID.length);
  for (let at = start; at < end; at++) {
    const byte = id[at]!;
    out[to++] = byte === QUOTE ? APOSTROPHE : Math.max(byte, 0x20);
  }
  out[to++] = QUOTE;
  return to;
}

/** Writes a whole number in decimal digits. */
function putNumber(out: Buffer, to: number, number: number): number {
  let digits = 1;
  for (let rest = number; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  for (let at = to + digits - 1; at >= to; at--) {
    out[at] = 0x30 + (number % 10);
    number = Math.floor(number / 10);
  }
  return to + digits;
}
