import { writeFile } from 'node:fs/promises';
import { ByteWriter } from './byte-writer.ts';
import { type FileWriter, openFileWriter } from './file-writer.ts';
import { SampleChannel } from './sample-channel.ts';
import { SeededRandom } from './seeded-random.ts';
import { GROUPS, HOSTS, LANGUAGES, PLAYER_LINES, UNWANTED_GROUPS } from './vocabulary.ts';

export interface M3uOptions {
  /** Where to write; compressed when it ends in `.gz` or `.zst`. The counts are written beside it as `<path>.expected.json`. */
  readonly path: string;
  /** Well-formed, distinct channels that a cleaner with no filters keeps beside the unwanted ones. */
  readonly channels: number;
  /** Default 1. Playlists with different seeds share no URL. */
  readonly seed?: number;
  /** Entries that repeat the URL and name of an earlier one. Default 1.5% of `channels`. */
  readonly duplicates?: number;
  /** Entries without a URL and URLs without an entry. Default 0.1% of `channels`. */
  readonly bad?: number;
  /** Further distinct channels in a group whose name contains `xxx` (any case). Default 0. */
  readonly unwantedGroup?: number;
  /** Further distinct channels whose URL does not start with `http`. Default 0. */
  readonly unwantedUrl?: number;
  /** `false` leaves out what only a lenient reader gets right: odd quotes, spaces and line ends, repeats and bad entries. Default true. */
  readonly dirty?: boolean;
  /** Called about every MiB with a fraction from 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/** What a cleaner must find in the file. */
export interface M3uCounts {
  readonly path: string;
  readonly seed: number;
  /** Bytes before compression. */
  readonly bytes: number;
  /** Everything that begins like an entry: the five below together. */
  readonly entries: number;
  readonly channels: number;
  readonly duplicates: number;
  readonly bad: number;
  readonly unwantedGroup: number;
  readonly unwantedUrl: number;
  /** Of `channels`: with a `tvg-chno`, and without a `tvg-id` worth the name. */
  readonly withNumber: number;
  readonly withoutId: number;
}

const BUFFER_BYTES = 1 << 20;
/** No entry is longer than this. */
const ENTRY_ROOM = 8192;
const ORDINARY = 50;
const KIND_COUNT = 5;
const Kind = { channel: 0, duplicate: 1, bad: 2, unwantedGroup: 3, unwantedUrl: 4 } as const;
/** The unwanted have channel numbers of their own. */
const UNWANTED_FROM = 0x4000_0000;

/**
 * Writes a dirty playlist of about 240 bytes an entry: the same seed gives the same bytes everywhere. It streams through 1 MiB whatever the size;
 * about 100 MB/s. The file appears under its name when it is whole.
 */
export async function generateM3u(options: M3uOptions): Promise<M3uCounts> {
  const { path, channels, seed = 1, dirty = true, onProgress } = options;
  const left = [
    channels,
    options.duplicates ?? (dirty && channels > 1 ? Math.round(channels * 0.015) : 0),
    options.bad ?? (dirty ? Math.round(channels * 0.001) : 0),
    options.unwantedGroup ?? 0,
    options.unwantedUrl ?? 0,
  ];
  const entries = left.reduce((sum, count) => sum + count, 0);
  const [, duplicates, bad, unwantedGroup, unwantedUrl] = left as [number, number, number, number, number];
  const file = await openFileWriter(path);
  try {
    const maker = new EntryMaker(seed, channels, dirty);
    const order = new SeededRandom().restart(seed, 0xffff_fff0);
    maker.header();
    for (let done = 0; done < entries; done++) {
      maker.entry(pickKind(left, entries - done, order, maker.channelCount), order);
      if (maker.out.room < ENTRY_ROOM) {
        await flush(maker.out, file);
        onProgress?.(done / entries);
      }
    }
    await flush(maker.out, file);
    await file.close();
    const { withNumber, withoutId } = maker;
    const counts = {
      path,
      seed,
      bytes: file.writtenBytes,
      entries,
      channels,
      duplicates,
      bad,
      unwantedGroup,
      unwantedUrl,
      withNumber,
      withoutId,
    };
    await writeFile(`${path}.expected.json`, `${JSON.stringify(counts, null, 2)}\n`);
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

/** Draws without replacement, so that each kind comes exactly as often as it was ordered (Knuth, TAOCP 3.4.2, algorithm S). */
function pickKind(left: number[], remaining: number, order: SeededRandom, channelCount: number): number {
  let ticket = order.below(remaining);
  for (let kind = 0; kind < KIND_COUNT; kind++) {
    ticket -= left[kind]!;
    if (ticket >= 0) continue;
    // Nothing can be repeated before the first channel stands.
    const chosen = kind === Kind.duplicate && channelCount === 0 && left[Kind.channel]! > 0 ? Kind.channel : kind;
    left[chosen] = left[chosen]! - 1;
    return chosen;
  }
  throw new RangeError('Expected as many kinds as entries');
}

const text = (value: string): Buffer => Buffer.from(value);
const EXTINF = [text('#EXTINF:-1'), text('#EXTINF:0'), text('#EXTINF: -1'), text('#extinf:-1')];
const TVG_ID = text(' tvg-id="');
const TVG_NAME = text(' tvg-name="');
const TVG_LOGO = text(' tvg-logo="https://img.lantern.example/logos/');
const NO_LOGO = text(' tvg-logo=""');
const PNG = text('.png');
const CHNO = text(' tvg-chno="');
const COUNTRY = text(' tvg-country="');
const LANGUAGE = text(' tvg-language="');
const GROUP = text(' group-title="');
const EXTGRP = text('#EXTGRP:');
const HTTP = text('http://');
const HTTPS = text('https://');
const RTMP = text('rtmp://');
const PIPE = text('pipe://ffmpeg -loglevel fatal -i https://');
const LIVE = text('/live/');
const PLAYLIST_END = text('/index.m3u8');
const TOKEN = text('?token=');
const TS = text('.ts');
const AGENT = text('|User-Agent=Sample%2F1.0');

/** Renders entries, one after the other, into its buffer. */
class EntryMaker {
  readonly out = new ByteWriter(BUFFER_BYTES);
  readonly #channel = new SampleChannel();
  readonly #random = new SeededRandom();
  readonly #name = new ByteWriter(512);
  readonly #seed: number;
  readonly #numberBound: number;
  readonly #dirty: boolean;
  #unwanted = UNWANTED_FROM;
  #lines = 0;
  #crlf = false;
  channelCount = 0;
  withNumber = 0;
  withoutId = 0;

  constructor(seed: number, channels: number, dirty: boolean) {
    this.#seed = seed;
    this.#dirty = dirty;
    this.#numberBound = Math.max(1, Math.floor(channels * 1.2));
  }

  header(): void {
    const guides = Array.from({ length: 24 }, (_, i) => `https://guides.tide.example/epg/region-${i}.xml.gz`).join(',');
    this.out.put(text(`#EXTM3U url-tvg="${guides}" x-tvg-url="${guides}" refresh="3600"`));
    this.#endLine();
  }

  entry(kind: number, order: SeededRandom): void {
    // Line ends change in blocks, as in files put together from several.
    if (this.#lines++ % 4096 === 0) this.#crlf = this.#dirty && order.chance(30);
    if (kind === Kind.channel) {
      this.#write(this.channelCount, kind);
      if (!this.#channel.hasId) this.withoutId++;
      this.channelCount++;
    } else if (kind === Kind.duplicate) this.#write(order.below(this.channelCount), kind);
    else if (kind === Kind.bad) this.#writeBad(order);
    else this.#write(this.#unwanted++, kind);
  }

  #endLine(): void {
    if (this.#crlf) this.out.byte(0x0d);
    this.out.byte(0x0a);
  }

  #write(number: number, kind: number): void {
    const { out } = this;
    const channel = this.#channel.become(this.#seed, number);
    const random = this.#random.restart(this.#seed ^ 0x5bd1e995, number);
    // What is odd about the entry; from 50 to 95 nothing is.
    const style = this.#dirty ? random.below(100) : ORDINARY;
    this.#name.used = 0;
    channel.writeName(this.#name);
    const name = this.#name.bytes.subarray(0, this.#name.used);
    if (style < 2) this.#playerLine(random);
    const inExtgrp = style >= 10 && style < 16 && kind !== Kind.unwantedGroup;
    const group = kind === Kind.unwantedGroup ? random.pick(UNWANTED_GROUPS) : random.pick(GROUPS[channel.genre]!);
    out.put(EXTINF[style >= 96 ? style - 96 : 0]!);
    // Some begin their attributes without a space.
    const glued = style >= 20 && style < 22;
    this.#attributes(channel, random, name, style, kind, glued);
    if (!inExtgrp) {
      if (style >= 16 && style < 18 && kind !== Kind.unwantedGroup) out.put(GROUP).byte(0x22);
      else out.put(GROUP).put(group).byte(0x22);
    }
    out.byte(0x2c);
    if (style >= 30 && style < 33) out.byte(0x20);
    out.put(name);
    this.#endLine();
    if (inExtgrp) {
      out.put(EXTGRP).put(group);
      this.#endLine();
    }
    if (style >= 5 && style < 10) this.#playerLine(random);
    this.#url(number, random, kind);
    this.#endLine();
  }

  #attributes(
    channel: SampleChannel,
    random: SeededRandom,
    name: Buffer,
    style: number,
    kind: number,
    glued: boolean,
  ): void {
    const { out } = this;
    const at = out.used;
    if (channel.hasId) {
      out.put(TVG_ID);
      channel.writeId(out);
      out.byte(0x22);
    } else if (random.chance(50)) out.put(TVG_ID).byte(0x22);
    if (random.chance(84)) {
      out.put(TVG_NAME);
      if (random.chance(70)) out.put(name);
      out.byte(0x22);
    }
    if (random.chance(10)) {
      if (kind === Kind.channel) this.withNumber++;
      out
        .put(CHNO)
        .digits(1 + random.below(this.#numberBound))
        .byte(0x22);
    }
    if (random.chance(80)) {
      out.put(TVG_LOGO).hex(random.next()).put(PNG);
      // A quote that is never closed: the value ends where the next attribute begins.
      if (style !== 40) out.byte(0x22);
    } else out.put(NO_LOGO);
    if (random.chance(25)) out.put(COUNTRY).put(COUNTRY_CODES[channel.country]!).byte(0x22);
    if (random.chance(30)) out.put(LANGUAGE).put(LANGUAGES[channel.country]!).byte(0x22);
    if (glued && out.used > at) {
      out.bytes.copyWithin(at, at + 1, out.used);
      out.used--;
    }
  }

  #url(number: number, random: SeededRandom, kind: number): void {
    const { out } = this;
    if (kind === Kind.unwantedUrl) out.put(random.chance(80) ? RTMP : PIPE);
    else out.put(random.chance(25) ? HTTP : HTTPS);
    out.put(random.pick(HOSTS));
    if (random.chance(20)) {
      out.put(LIVE).hex(this.#seed).byte(0x2f).hex(random.next()).byte(0x2f).digits(number).put(TS);
      return;
    }
    out.byte(0x2f).hex(this.#seed).byte(0x2f).digits(number).put(PLAYLIST_END);
    if (random.chance(12)) out.put(TOKEN).hex(random.next()).hex(random.next());
    if (random.chance(3)) out.put(AGENT);
  }

  #playerLine(random: SeededRandom): void {
    this.out.put(random.pick(PLAYER_LINES));
    this.#endLine();
  }

  /** An entry whose URL never comes, or a URL that no entry announces. */
  #writeBad(order: SeededRandom): void {
    const { out } = this;
    if (order.chance(50)) {
      out.put(EXTINF[0]!).put(GROUP).put(GROUPS[0]![0]!).byte(0x22).byte(0x2c).put(text('Adrift ')).digits(this.#lines);
    } else out.put(HTTPS).put(HOSTS[0]!).put(text('/adrift/')).digits(this.#lines).put(PLAYLIST_END);
    this.#endLine();
  }
}

const COUNTRY_CODES = ['DE', 'FR', 'ES', 'UK', 'SE', 'PL', 'IT', 'NL', 'PT', 'US', 'BR', 'JP'].map(text);
