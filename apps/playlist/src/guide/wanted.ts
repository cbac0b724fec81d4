/**
 * Which channels of the guides are wanted, and under which id each is written.
 *
 * The numbering stage tells every kept playlist channel (`want`), the index pass tells what the guides have (`claim...`), the
 * playlist writer asks what became of each channel (`resolve`), the guide writer asks for each guide channel where it goes
 * (`outputsOf`). Ways to match, the better one first, whichever guide it is in; of equal ones the first guide's wins:
 *   exact       the guide's id is a wanted tvg-id;
 *   rewritten   the guide's id is what a wanted tvg-id was before a rule changed it: kept under the new id (of several
 *               ids that became one, the first that a guide has);
 *   alias       the alias file names the guide's id, or its display-name;
 *   name        the normalised names are equal.
 * With the last two the playlist's channel adopts the guide's id, and the guide stays as it is.
 *
 * Memory: 21 bytes for each distinct id and as many for each distinct normalised name; nothing for a guide channel that nobody
 * wants; 33 bytes for one that is matched, and its id's bytes when it is adopted. All of it is reserved before it grows.
 */
import type { Consumer } from 'plimsoll';
import { Digest } from '../channels/digest.ts';
import { KeyTable } from '../channels/key-table.ts';
import { AliasTable } from './alias-table.ts';
import { ByteArena } from './byte-arena.ts';
import { Match } from './match.ts';
import { NameNormaliser } from './name-normaliser.ts';
import { MAX_REWRITES_PER_ID, RewriteTable } from './rewrite-table.ts';
import { NO_GUIDE, SlotKind, SlotMark, SlotTable } from './slot-table.ts';

/** The most guides in one run. */
export const MAX_GUIDES = 254;

/** Where the texts of a channel stand in a buffer: [start, end), start -1 or an empty span when there is none. Reuse one object for all calls. */
export interface WantedSpans {
  /** tvg_id as the playlist will have it. */
  idStart: number;
  idEnd: number;
  /** tvg_id as it was before a rule changed it; -1 when none did. */
  originalStart: number;
  originalEnd: number;
  nameStart: number;
  nameEnd: number;
  tvgNameStart: number;
  tvgNameEnd: number;
}

export interface WantedOptions {
  /** Match channels by normalised name. Default true. */
  readonly byName?: boolean;
  /** Pairs of playlist channel (name or tvg-id) and guide channel (id or display-name); at most 100,000. */
  readonly aliases?: Iterable<readonly [string, string]>;
}

const RECORD_WORDS = 10;
const NAME_WORD = 3;
const TVG_NAME_WORD = 6;
const ALIAS_WORD = 9;

export class WantedChannels implements Disposable {
  /** Size of what `want` writes and `resolve` reads. */
  static readonly RECORD_BYTES = RECORD_WORDS * 4;

  /** After a `resolve` that returned `Match.alias` or `Match.name`: the adopted id is `adopted[adoptedStart, adoptedEnd)`, not to be written to. */
  adopted: Buffer = Buffer.alloc(0);
  adoptedStart = 0;
  adoptedEnd = 0;
  /** After a `resolve` that found something: the slot, from 0 up to `slots.count`, by which rules on programmes find the channel. */
  slot = -1;
  /** Slots that the last `outputsOf` found; valid up to the number it returned. */
  readonly outputs = new Int32Array(MAX_REWRITES_PER_ID + 1);

  readonly #consumer: Consumer;
  readonly #byName: boolean;
  /** Wanted ids -> a slot's value (see `#slotOf`) once a guide has it. */
  readonly #ids: KeyTable;
  /** Normalised names -> value of the guide channel that claimed it. */
  readonly #names: KeyTable;
  /** Ids that nobody wants, of guide channels that were claimed by alias or name -> value. */
  #adoptedIds: KeyTable | undefined;
  /** Slots given away before `forgetClaims`: a value is a slot + 1 + this, so all older values mean "unclaimed". */
  #forgotten = 0;
  /** Made when a rule has first changed an id. */
  #rewrites: RewriteTable | undefined;
  readonly #aliases: AliasTable | undefined;
  readonly #arena: ByteArena;
  readonly #slots: SlotTable;
  readonly #normaliser = new NameNormaliser();
  readonly #digest = new Digest();
  readonly #probe = new Digest();

  /** Everything is reserved from `consumer`; a refusal throws `BudgetExceededError`. The caller disposes. */
  constructor(consumer: Consumer, options: WantedOptions = {}) {
    this.#consumer = consumer;
    this.#byName = options.byName ?? true;
    this.#ids = new KeyTable(consumer, { withValues: true });
    this.#names = new KeyTable(consumer, { withValues: true });
    this.#arena = new ByteArena(consumer);
    this.#slots = new SlotTable(consumer);
    if (options.aliases !== undefined) this.#aliases = new AliasTable(consumer, options.aliases, this.#normaliser);
  }

  /** Columns of the matched channels; the guide writer keeps its state there. */
  get slots(): SlotTable {
    return this.#slots;
  }

  /** Distinct wanted and adopted ids. */
  get idCount(): number {
    return this.#ids.size;
  }

  /** Rewrites left out for `MAX_REWRITES_PER_ID`, or a new id longer than 1 KiB. */
  get refusedRewriteCount(): number {
    return this.#rewrites?.refusedCount ?? 0;
  }

  /**
   * Notes a kept playlist channel and writes `RECORD_BYTES` at `record[at]` that `resolve` will want back, whatever their place in
   * a file meanwhile. Before the first claim only. About 1 µs.
   */
  want(bytes: Buffer, spans: WantedSpans, record: Buffer, at: number): void {
    record.fill(0, at, at + WantedChannels.RECORD_BYTES);
    const hasId = spans.idEnd > spans.idStart && spans.idStart >= 0;
    if (hasId) {
      const digest = this.#digest.of(bytes, spans.idStart, spans.idEnd);
      this.#ids.add(digest);
      writeDigest(digest, record, at);
      if (spans.originalStart >= 0 && spans.originalEnd > spans.originalStart) {
        this.#rewrites ??= new RewriteTable(this.#consumer, this.#arena);
        this.#rewrites.add(bytes, spans.originalStart, spans.originalEnd, spans.idStart, spans.idEnd);
      }
    }
    let alias = this.#aliases === undefined ? 0 : this.#aliases.find(bytes, spans);
    if (this.#usesNames) {
      const hasTvgName = this.#wantName(bytes, spans.tvgNameStart, spans.tvgNameEnd, record, at + TVG_NAME_WORD * 4);
      if (hasTvgName && alias === 0 && this.#aliases !== undefined) alias = this.#aliases.findNormalised(this.#digest);
      // Most lists give the name twice.
      if (!hasTvgName || !isSameName(bytes, spans)) {
        const hasName = this.#wantName(bytes, spans.nameStart, spans.nameEnd, record, at + NAME_WORD * 4);
        if (hasName && alias === 0 && this.#aliases !== undefined) alias = this.#aliases.findNormalised(this.#digest);
      }
    }
    record.writeUInt32LE(alias, at + ALIAS_WORD * 4);
  }

  /**
   * What became of the channel whose record stands at `record[at]`, as one of `Match`, once the guides are indexed. A channel that
   * adopts an id marks it as used: the guide is written for adopted ids that were asked for here, and no others.
   */
  resolve(record: Buffer, at: number): number {
    const probe = this.#probe;
    if (readDigest(probe, record, at)) {
      const slot = this.#slotOf(this.#ids.get(probe));
      this.slot = slot;
      if (slot >= 0) return this.#slots.kind[slot] === SlotKind.rewritten ? Match.rewritten : Match.id;
    }
    const alias = record.readUInt32LE(at + ALIAS_WORD * 4);
    if (alias > 0 && this.#aliases !== undefined) {
      const slot = this.#aliases.slotOf(alias - 1);
      if (slot >= 0) return this.#adopt(slot, Match.alias);
    }
    if (!this.#byName) return Match.none;
    for (let word = TVG_NAME_WORD; word >= NAME_WORD; word -= 3) {
      if (!readDigest(probe, record, at + word * 4)) continue;
      const slot = this.#slotOf(this.#names.get(probe));
      if (slot >= 0) return this.#adopt(slot, Match.name);
    }
    return Match.none;
  }

  /**
   * Index pass: guide number `guide` (from 0) has a channel of this id, decoded; `declared` says by a `<channel>` element.
   * Guides are told in their order, and a channel's id before its names.
   */
  claimId(guide: number, bytes: Uint8Array, start: number, end: number, declared: boolean): void {
    if (start >= end) return;
    const digest = this.#digest.of(bytes, start, end);
    this.#claimExact(digest, guide, declared);
    const rewrite = this.#rewrites?.first(digest) ?? 0;
    if (rewrite > 0) this.#claimRewrites(rewrite, guide, declared);
    const target = this.#aliases?.targetOfId(digest) ?? -1;
    if (target < 0 || !this.#aliases!.canClaim(target, true)) return;
    const slot = this.#slotFor(digest, guide, bytes, start, end);
    if (slot >= 0) this.#aliases!.claim(target, true, slot);
  }

  /** Index pass: the channel of guide `guide` whose id, decoded, is `id[idStart, idEnd)` has this display-name, decoded. */
  claimName(
    guide: number,
    id: Uint8Array,
    idStart: number,
    idEnd: number,
    name: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (idStart >= idEnd || !this.#usesNames) return;
    const length = this.#normaliser.normalise(name, start, end);
    if (length === 0) return;
    const probe = this.#probe.of(this.#normaliser.bytes, 0, length);
    const byName = this.#byName && this.#isUnclaimed(this.#names.get(probe));
    const targets = this.#aliases?.targetOfName(probe) ?? -1;
    if (!byName && !this.#isFree(targets)) return;
    const slot = this.#slotFor(this.#digest.of(id, idStart, idEnd), guide, id, idStart, idEnd);
    if (slot < 0) return;
    if (byName) this.#names.set(probe, this.#valueOf(slot));
    for (let target = targets; target >= 0; target = this.#aliases!.nextOfName(target)) {
      if (this.#aliases!.canClaim(target, false)) this.#aliases!.claim(target, false, slot);
    }
  }

  /** Whether a guide channel of this id could have a part in any decision. */
  concernsId(bytes: Uint8Array, start: number, end: number): boolean {
    const digest = this.#digest.of(bytes, start, end);
    if (this.#ids.has(digest) || (this.#rewrites?.first(digest) ?? 0) > 0) return true;
    return (this.#aliases?.targetOfId(digest) ?? -1) >= 0;
  }

  /** Whether a guide channel of this display-name could have a part in any decision. */
  concernsName(bytes: Uint8Array, start: number, end: number): boolean {
    const length = this.#usesNames ? this.#normaliser.normalise(bytes, start, end) : 0;
    if (length === 0) return false;
    const digest = this.#digest.of(this.#normaliser.bytes, 0, length);
    return this.#names.has(digest) || (this.#aliases?.targetOfName(digest) ?? -1) >= 0;
  }

  /**
   * Writing pass: finds the slots that the channel of this id (decoded) in guide `guide` is written for, puts them into
   * `outputs` and returns how many. With `fromHeads`, that is when only the heads of the guides were indexed, -1 means that the id is news: with
   * it the index would have decided otherwise.
   */
  outputsOf(guide: number, bytes: Uint8Array, start: number, end: number, fromHeads: boolean): number {
    if (start >= end) return 0;
    const digest = this.#digest.of(bytes, start, end);
    const slots = this.#slots;
    let count = 0;
    const value = this.#ids.get(digest);
    if (value >= 0) {
      const slot = this.#slotOf(value);
      if (slot >= 0 && slots.kind[slot] === SlotKind.exact) this.outputs[count++] = slot;
      else if (fromHeads) return -1;
    } else if (this.#adoptedIds !== undefined) {
      const slot = this.#slotOf(this.#adoptedIds.get(digest));
      // Ids mean something within one guide only: another guide's channel of this id is another channel.
      if (slot >= 0 && slots.guide[slot] === guide && (slots.marks[slot]! & SlotMark.asked) !== 0)
        this.outputs[count++] = slot;
    }
    const target = this.#aliases?.targetOfId(digest) ?? -1;
    if (fromHeads && target >= 0 && this.#isNews(target, guide)) return -1;
    const rewrites = this.#rewrites;
    for (let rewrite = rewrites?.first(digest) ?? 0; rewrite > 0; rewrite = rewrites!.next(rewrite)) {
      const slot = this.#slotOf(this.#ids.get(rewrites!.newId(rewrite)));
      if (slot >= 0 && slots.kind[slot] === SlotKind.exact) continue;
      if (slot >= 0 && slots.idEntry[slot] === rewrites!.entry(rewrite) + 1) this.outputs[count++] = slot;
      else if (fromHeads && (slot < 0 || slots.guide[slot]! > guide)) return -1;
    }
    return count;
  }

  /** The new id of a slot of kind `rewritten` as a copy. */
  rewrittenId(slot: number): Buffer {
    const entry = this.#slots.idEntry[slot]! - 1;
    return Buffer.from(this.#arena.chunk(entry).subarray(this.#arena.start(entry), this.#arena.end(entry)));
  }

  /** Forgets all claims and what `resolve` was asked, keeps all wants: before the guides are indexed again. */
  forgetClaims(): void {
    this.#forgotten += this.#slots.count;
    this.#slots.clear();
    this.#adoptedIds?.[Symbol.dispose]();
    this.#adoptedIds = undefined;
    this.#aliases?.forgetClaims();
  }

  [Symbol.dispose](): void {
    this.#ids[Symbol.dispose]();
    this.#names[Symbol.dispose]();
    this.#adoptedIds?.[Symbol.dispose]();
    this.#rewrites?.[Symbol.dispose]();
    this.#aliases?.[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
    this.#slots[Symbol.dispose]();
  }

  /** Slot of a table's value, -1 when the key is absent (-1) or unclaimed. */
  #slotOf(value: number): number {
    return value > this.#forgotten ? value - this.#forgotten - 1 : -1;
  }

  #valueOf(slot: number): number {
    return slot + 1 + this.#forgotten;
  }

  #isUnclaimed(value: number): boolean {
    return value >= 0 && value <= this.#forgotten;
  }

  get #usesNames(): boolean {
    return this.#byName || this.#aliases !== undefined;
  }

  /** Whether one of the alias targets of a name is still to be had. */
  #isFree(target: number): boolean {
    for (let at = target; at >= 0; at = this.#aliases!.nextOfName(at))
      if (this.#aliases!.canClaim(at, false)) return true;
    return false;
  }

  /** Whether an alias target that guide `guide` turns out to have by its id went to nobody, to a name, or to a later guide. */
  #isNews(target: number, guide: number): boolean {
    if (this.#aliases!.canClaim(target, true)) return true;
    const slot = this.#aliases!.slotOf(target);
    return this.#slots.kind[slot] === SlotKind.adopted && this.#slots.guide[slot]! > guide;
  }

  /** Leaves the name's digest in `#digest`; false when there is no name. */
  #wantName(bytes: Buffer, start: number, end: number, record: Buffer, at: number): boolean {
    if (start < 0 || end <= start) return false;
    const length = this.#normaliser.normalise(bytes, start, end);
    if (length === 0) return false;
    const digest = this.#digest.of(this.#normaliser.bytes, 0, length);
    if (this.#byName) this.#names.add(digest);
    writeDigest(digest, record, at);
    return true;
  }

  #claimExact(digest: Digest, guide: number, declared: boolean): void {
    const value = this.#ids.get(digest);
    if (value < 0) return;
    const slots = this.#slots;
    let slot = this.#slotOf(value);
    if (slot < 0) {
      slot = slots.add(SlotKind.exact, NO_GUIDE);
      this.#ids.set(digest, this.#valueOf(slot));
    } else if (slots.kind[slot] !== SlotKind.exact) {
      slots.kind[slot] = SlotKind.exact;
      slots.guide[slot] = NO_GUIDE;
    }
    if (declared && slots.guide[slot] === NO_GUIDE) slots.guide[slot] = guide;
  }

  #claimRewrites(first: number, guide: number, declared: boolean): void {
    const slots = this.#slots;
    const rewrites = this.#rewrites!;
    for (let rewrite = first; rewrite > 0; rewrite = rewrites.next(rewrite)) {
      const newId = rewrites.newId(rewrite);
      let slot = this.#slotOf(this.#ids.get(newId));
      if (slot < 0) {
        slot = slots.add(SlotKind.rewritten, NO_GUIDE);
        slots.idEntry[slot] = rewrites.entry(rewrite) + 1;
        this.#ids.set(newId, this.#valueOf(slot));
      }
      const isOurs = slots.kind[slot] === SlotKind.rewritten && slots.idEntry[slot] === rewrites.entry(rewrite) + 1;
      if (declared && isOurs && slots.guide[slot] === NO_GUIDE) slots.guide[slot] = guide;
    }
  }

  /** The slot of a guide channel that somebody may adopt, with its id's bytes kept; -1 when the id is too long to keep. */
  #slotFor(digest: Digest, guide: number, id: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    let slot = this.#slotOf(this.#ids.get(digest));
    if (slot < 0 || slots.kind[slot] !== SlotKind.exact) {
      this.#adoptedIds ??= new KeyTable(this.#consumer, { withValues: true });
      slot = this.#slotOf(this.#adoptedIds.get(digest));
      if (slot >= 0 && slots.guide[slot] !== guide) return -1;
    }
    if (slot >= 0 && slots.idEntry[slot] !== 0) return slot;
    const entry = this.#arena.add(id, start, end);
    if (entry < 0) return -1;
    if (slot < 0) {
      slot = slots.add(SlotKind.adopted, guide);
      this.#adoptedIds!.add(digest);
      this.#adoptedIds!.set(digest, this.#valueOf(slot));
    }
    slots.idEntry[slot] = entry + 1;
    return slot;
  }

  #adopt(slot: number, match: number): number {
    const entry = this.#slots.idEntry[slot]! - 1;
    this.slot = slot;
    this.#slots.marks[slot] = this.#slots.marks[slot]! | SlotMark.asked;
    this.adopted = this.#arena.chunk(entry);
    this.adoptedStart = this.#arena.start(entry);
    this.adoptedEnd = this.#arena.end(entry);
    return match;
  }
}

function isSameName(bytes: Buffer, spans: WantedSpans): boolean {
  const { nameStart, tvgNameStart } = spans;
  const length = spans.nameEnd - nameStart;
  if (nameStart < 0 || spans.tvgNameEnd - tvgNameStart !== length) return false;
  let at = 0;
  while (at < length && bytes[nameStart + at] === bytes[tvgNameStart + at]) at++;
  return at === length;
}

function writeDigest(digest: Digest, record: Buffer, at: number): void {
  record.writeUInt32LE(digest.a, at);
  record.writeUInt32LE(digest.b, at + 4);
  record.writeUInt32LE(digest.c, at + 8);
}

/** False when there is none: all zeros. */
function readDigest(digest: Digest, record: Buffer, at: number): boolean {
  digest.a = record.readUInt32LE(at);
  digest.b = record.readUInt32LE(at + 4);
  digest.c = record.readUInt32LE(at + 8);
  return (digest.a | digest.b | digest.c) !== 0;
}
