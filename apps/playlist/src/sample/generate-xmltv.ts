import { writeFile } from 'node:fs/promises';
import { ByteWriter } from './byte-writer.ts';
import { type FileWriter, openFileWriter } from './file-writer.ts';
import { ProgrammeWriter } from './programme-writer.ts';
import { SampleChannel } from './sample-channel.ts';
import { SeededRandom } from './seeded-random.ts';
import { COUNTRIES, FOREIGN_BRANDS } from './vocabulary.ts';

export interface XmltvOptions {
  /** Where to write; compressed when it ends in `.gz` or `.zst`. The counts are written beside it as `<path>.expected.json`. */
  readonly path: string;
  /** Size to reach before compression; met within one programme a channel. */
  readonly bytes: number;
  /** Channels in the guide. Default one for every 150,000 bytes: about 330 programmes, a week, for each. */
  readonly channelCount?: number;
  /** Default 1. */
  readonly seed?: number;
  /** The playlist that the guide belongs to, as it was given to `generateM3u`. Without it all channels are foreign. */
  readonly playlist?: { readonly channels: number; readonly seed?: number };
  /** Share of the guide's channels, and of its programmes, that are in the playlist. Default 0.4; at most one in eight of the playlist's. */
  readonly keptShare?: number;
  /** Every nth programme is written a second time. Default 0: none. */
  readonly repeatEvery?: number;
  /** `false` writes straight to `path`, which may be a FIFO, and no counts beside it. Default true. */
  readonly whole?: boolean;
  /** Called about every MiB with a fraction from 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/** What a cleaner must find in the file. */
export interface XmltvCounts {
  readonly path: string;
  readonly seed: number;
  /** Bytes before compression. */
  readonly bytes: number;
  readonly channels: number;
  readonly programmes: number;
  /** Channels whose id is a `tvg-id` of the playlist. */
  readonly channelsById: number;
  /** Channels whose id is in no playlist, but whose display name is that of a channel without an id. */
  readonly channelsByName: number;
  readonly programmesById: number;
  readonly programmesByName: number;
  /** Repeated programmes among `programmesById` and `programmesByName`, not counted in them. */
  readonly repeatsKept: number;
}

const BUFFER_BYTES = 1 << 20;
const ROOM = 16_384;
const FOREIGN = -1;

/**
 * Writes a guide, channels first, then the programmes of one channel after the other in order of time. The same options give the same bytes
 * everywhere. It streams through 1 MiB and 8 bytes for each guide channel, whatever the size; about 150 MB/s.
 */
export async function generateXmltv(options: XmltvOptions): Promise<XmltvCounts> {
  const { path, bytes, seed = 1, whole = true } = options;
  const channelCount = options.channelCount ?? Math.max(1, Math.round(bytes / 150_000));
  const file = await openFileWriter(path, whole);
  try {
    const cast = castChannels(options, channelCount);
    const guide = new GuideMaker(seed, options.playlist?.seed ?? 1, options.repeatEvery ?? 0);
    guide.head();
    for (let i = 0; i < channelCount; i++) {
      guide.channel(i, cast[i]!);
      if (guide.out.room < ROOM) await flush(guide.out, file);
    }
    await flush(guide.out, file);
    const headBytes = file.writtenBytes;
    for (let i = 0; i < channelCount; i++) {
      guide.begin(i, cast[i]!);
      const until = headBytes + ((bytes - headBytes) * (i + 1)) / channelCount;
      while (file.writtenBytes + guide.out.used < until) {
        guide.programme();
        if (guide.out.room >= ROOM) continue;
        await flush(guide.out, file);
        options.onProgress?.(Math.min(1, file.writtenBytes / bytes));
      }
    }
    guide.foot();
    await flush(guide.out, file);
    await file.close();
    const counts = { path, seed, bytes: file.writtenBytes, channels: channelCount, ...guide.counts };
    if (whole) await writeFile(`${path}.expected.json`, `${JSON.stringify(counts, null, 2)}\n`);
    return counts;
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function flush(out: ByteWriter, file: FileWriter): Promise<void> {
  await file.write(out.bytes.subarray(0, out.used));
  out.used = 0;
}

/** For each guide channel the number of the playlist's channel that it is, or `FOREIGN`. One in twenty is known only by name. */
function castChannels(options: XmltvOptions, channelCount: number): Int32Array {
  const { seed = 1, keptShare = 0.4, playlist } = options;
  const cast = new Int32Array(channelCount).fill(FOREIGN);
  if (playlist === undefined) return cast;
  const order = new SeededRandom().restart(seed, 0xffff_fff1);
  const wanted = Math.min(Math.round(channelCount * keptShare), Math.floor(playlist.channels / 8));
  const channel = new SampleChannel();
  let left = wanted;
  let next = 0;
  for (let i = 0; i < channelCount && left > 0; i++) {
    if (order.below(channelCount - i) >= left) continue;
    const byName = order.chance(5);
    next = Math.max(next, Math.floor(((wanted - left) * playlist.channels) / wanted));
    for (; next < playlist.channels; next++) {
      channel.become(playlist.seed ?? 1, next);
      if (!channel.isVariant && channel.hasId !== byName) break;
    }
    left--;
    if (next < playlist.channels) cast[i] = next++;
  }
  return cast;
}

const text = (value: string): Buffer => Buffer.from(value);
const HEAD = text(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tv SYSTEM "xmltv.dtd">
<!-- A made-up guide: no broadcaster, show or host in it exists. <programme> in a comment is no programme. -->
<tv source-info-name="Sample" generator-info-name="plimsoll sample">
`);
const FOOT = text('</tv>\n');
const CHANNEL_OPEN = text('  <channel id="');
const DISPLAY_OPEN = text('">\n    <display-name>');
const DISPLAY_CLOSE = text('</display-name>\n    <icon src="https://img.lantern.example/guide/');
const CHANNEL_CLOSE = text('.png"/>\n  </channel>\n');
const BY_NAME_ID = text('byname.');
const FOREIGN_ID = text('.elsewhere.example');
const NETWORK = text(' Network ');

/** Renders the parts of a guide, one after the other, into its buffer. */
class GuideMaker {
  readonly out = new ByteWriter(BUFFER_BYTES);
  readonly #channel = new SampleChannel();
  readonly #random = new SeededRandom();
  readonly #scratch = new ByteWriter(1024);
  readonly #programmes: ProgrammeWriter;
  readonly #seed: number;
  readonly #playlistSeed: number;
  readonly #repeatEvery: number;
  #role: 'foreign' | 'byId' | 'byName' = 'foreign';
  readonly counts = {
    programmes: 0,
    channelsById: 0,
    channelsByName: 0,
    programmesById: 0,
    programmesByName: 0,
    repeatsKept: 0,
  };

  constructor(seed: number, playlistSeed: number, repeatEvery: number) {
    this.#seed = seed;
    this.#playlistSeed = playlistSeed;
    this.#repeatEvery = repeatEvery;
    this.#programmes = new ProgrammeWriter(this.out, seed);
  }

  head(): void {
    this.out.put(HEAD);
  }

  foot(): void {
    this.out.put(FOOT);
  }

  channel(index: number, number: number): void {
    const { out } = this;
    this.#become(index, number);
    out.put(CHANNEL_OPEN).put(this.#id()).put(DISPLAY_OPEN);
    if (number === FOREIGN) {
      out
        .put(FOREIGN_BRANDS[index % FOREIGN_BRANDS.length]!.shown)
        .put(NETWORK)
        .digits(index);
    } else {
      this.#scratch.used = 0;
      this.#channel.writeName(this.#scratch);
      out.putXml(this.#scratch.bytes, 0, this.#scratch.used);
    }
    out.put(DISPLAY_CLOSE).digits(index).put(CHANNEL_CLOSE);
    if (this.#role === 'byId') this.counts.channelsById++;
    else if (this.#role === 'byName') this.counts.channelsByName++;
  }

  /** Turns to the programmes of a channel. */
  begin(index: number, number: number): void {
    this.#become(index, number);
    this.#programmes.begin(index, this.#id());
  }

  programme(): void {
    const { counts } = this;
    const start = this.out.used;
    this.#programmes.write();
    const ordinal = counts.programmes++;
    if (this.#role === 'byId') counts.programmesById++;
    else if (this.#role === 'byName') counts.programmesByName++;
    if (this.#repeatEvery === 0 || ordinal % this.#repeatEvery !== 0) return;
    const end = this.out.used;
    this.out.bytes.copyWithin(end, start, end);
    this.out.used = end + (end - start);
    counts.programmes++;
    if (this.#role !== 'foreign') counts.repeatsKept++;
  }

  #become(index: number, number: number): void {
    this.#random.restart(this.#seed, index);
    if (number === FOREIGN) {
      this.#role = 'foreign';
      return;
    }
    this.#channel.become(this.#playlistSeed, number);
    this.#role = this.#channel.hasId ? 'byId' : 'byName';
  }

  /** A view of the scratch buffer, good until the next call. */
  #id(): Buffer {
    const { bytes } = this.#scratch;
    this.#scratch.used = 0;
    return bytes.subarray(0, this.#writeId());
  }

  #writeId(): number {
    const to = this.#scratch;
    if (this.#role === 'byId') this.#channel.writeId(to);
    else {
      const random = this.#random;
      if (this.#role === 'byName') to.put(BY_NAME_ID);
      else to.put(random.pick(FOREIGN_BRANDS).id);
      to.hex(random.next()).byte(0x2e).put(random.pick(COUNTRIES));
      if (this.#role === 'foreign') to.put(FOREIGN_ID);
    }
    return to.used;
  }
}
