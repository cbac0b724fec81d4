/**
 * Writes the one guide: the channels of all guides first, then the programmes, guide by guide.
 *
 * For maintainers. A channel's programmes all come from the first guide that has any for it. Whether a programme of that guide was there before is
 * mostly seen from its start: one that is later than all before it is new (4 bytes a channel). From the first one that is not, the guide goes the exact way:
 * one pass over it collects a digest of every programme (`DuplicateFinder`), another writes those from there on that are no duplicates. What was written
 * before stays: all of it was new.
 */
import type { Consumer } from 'plimsoll';
import type { FieldAccess } from '../rules/field-access.ts';
import { ChannelPass } from './channel-pass.ts';
import { DuplicateFinder } from './duplicate-finder.ts';
import type { GuideDamage } from './guide-damage.ts';
import { type GuideInput, GuideReader, type GuideReaderOptions } from './guide-input.ts';
import type { GuideIndex } from './index-guides.ts';
import { ProgrammePass } from './programme-pass.ts';
import type { ProgrammeEditor } from './programme-view.ts';
import { type GuideSink, SinkWriter } from './sink-writer.ts';
import type { WantedChannels } from './wanted.ts';

export interface WriteGuideOptions extends GuideReaderOptions {
  readonly guides: readonly GuideInput[];
  readonly wanted: WantedChannels;
  /** What `indexGuides` made of the same guides; since then `resolve` was asked for every channel of the playlist. */
  readonly index: GuideIndex;
  readonly sink: GuideSink;
  /** Everything that is held is reserved here: the scanner's buffer, and 2 MiB and a bit a programme while an unordered guide is looked through. */
  readonly consumer: Consumer;
  /** Folder for the temporary file that an unordered guide needs: 16 bytes a kept programme. */
  readonly tempDir: string;
  /** Default 2 GiB. */
  readonly maxSpillBytes?: number;
  readonly editor?: ProgrammeEditor;
  /** The fields of the playlist's channel that has this slot (`WantedChannels.slot` after `resolve`); asked when the channel changes. */
  readonly channelFields?: (slot: number) => FieldAccess | undefined;
  /** Called every few hundred KiB with the bytes of guide number `guide` read so far in this pass, and its programmes written so far. */
  readonly onProgress?: (guide: number, readBytes: number, programmesKept: number) => void;
}

export interface GuideStats {
  readonly label: string;
  /** Size of the guide, decompressed, as far as it could be read. */
  bytesIn: number;
  channelsIn: number;
  /** Channel elements written. */
  channelsKept: number;
  programmesIn: number;
  /** Programmes written; one that is written under two ids counts twice. */
  programmesKept: number;
  /** Programmes of kept channels that stood there before. */
  duplicates: number;
  /** Programmes that the editor dropped, and changed. */
  dropped: number;
  edited: number;
  /** Its programmes were not in order: it was read three times. */
  unordered: boolean;
  /** Its DOCTYPE declares entities: references to them mean nothing in the new guide. */
  declaresEntities: boolean;
  /** The first 20 places of damage. */
  readonly damage: GuideDamage[];
  damageCount: number;
}

export type WriteGuideResult =
  /** What was written is void: a guide has channels that its head does not tell. Index again with `full`, resolve and write again. */
  | { readonly needsFullIndex: true; readonly label: string }
  | {
      readonly needsFullIndex: false;
      readonly channels: number;
      readonly programmes: number;
      readonly bytesOut: number;
      readonly guides: readonly GuideStats[];
    };

const HEAD = Buffer.from('<?xml version="1.0" encoding="UTF-8"?>\n<tv generator-info-name="plimsoll">');
const FOOT = Buffer.from('\n</tv>\n');

/**
 * Writes the guide for the channels of `wanted`. Kept elements pass through byte for byte, with the white space before them; only ids that a rule
 * changed and programmes that the editor changed are written anew.
 *
 * Memory: one buffer of half a MiB (up to 4 MiB for a guide with elements that long), whatever the size of the guides. Rejects with
 * the error of a source that cannot be read, `GuideDamagedError` (`PLIMSOLL_PLAYLIST_GUIDE_DAMAGED`) where a guide is damaged and asks to be refused, `SpillLimitError`
 * (`PLIMSOLL_PLAYLIST_GUIDE_SPILL_LIMIT`), and whatever the sink and the signal throw.
 */
export async function writeGuide(options: WriteGuideOptions): Promise<WriteGuideResult> {
  const { guides, wanted, index, consumer } = options;
  wanted.slots.resetWriting();
  const stats = guides.map((guide) => newStats(guide.label));
  using reader = new GuideReader(consumer, options);
  const writer = new SinkWriter(options.sink, reader.scanner);
  await writer.writeBytes(HEAD);
  for (const [number, guide] of guides.entries()) {
    const head = index.guides[number]!;
    if (head.headBytes === 0) continue;
    await reader.read(guide, new ChannelPass({ writer, wanted, guide: number, head, stats: stats[number]! }));
  }
  for (const number of guides.keys()) {
    const complete = await writeProgrammes(options, reader, writer, number, stats[number]!);
    if (!complete) return { needsFullIndex: true, label: guides[number]!.label };
  }
  await writer.writeBytes(FOOT);
  return {
    needsFullIndex: false,
    channels: stats.reduce((sum, guide) => sum + guide.channelsKept, 0),
    programmes: stats.reduce((sum, guide) => sum + guide.programmesKept, 0),
    bytesOut: writer.writtenBytes,
    guides: stats,
  };
}

/** False when a full index is needed. */
async function writeProgrammes(
  options: WriteGuideOptions,
  reader: GuideReader,
  writer: SinkWriter,
  number: number,
  stats: GuideStats,
): Promise<boolean> {
  const guide = options.guides[number]!;
  const pass = new ProgrammePass({
    writer,
    wanted: options.wanted,
    guide: number,
    head: options.index.guides[number]!,
    stats,
    ...(options.editor && { editor: options.editor }),
    ...(options.channelFields && { channelFields: options.channelFields }),
    ...(options.onProgress && { onProgress: options.onProgress }),
  });
  if (await reader.read(guide, pass)) return true;
  if (pass.needsFullIndex) return false;
  stats.unordered = true;
  using finder = new DuplicateFinder(
    options.tempDir,
    options.consumer,
    options.maxSpillBytes === undefined ? {} : { maxSpillBytes: options.maxSpillBytes },
  );
  pass.collect(finder);
  if (!(await reader.read(guide, pass))) return false;
  finder.finish();
  pass.writeRest();
  const complete = await reader.read(guide, pass);
  pass.endRest();
  return complete;
}

function newStats(label: string): GuideStats {
  return {
    label,
    bytesIn: 0,
    channelsIn: 0,
    channelsKept: 0,
    programmesIn: 0,
    programmesKept: 0,
    duplicates: 0,
    dropped: 0,
    edited: 0,
    unordered: false,
    declaresEntities: false,
    damage: [],
    damageCount: 0,
  };
}
