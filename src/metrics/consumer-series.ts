/**
 * Inside: exporters show the largest consumers by name and all others together. Which those are changes, and a total that moves from one name to another would look to a
 * rate like thousands of refusals at once. So totals are not taken from the rows: what each has grown by since the look before goes to whatever it is shown as now. A
 * series that goes and comes back begins at 0, which rates take for a restart; the one of all others never goes down.
 */
import { withoutControlCharacters } from '../control-characters.ts';
import { type ConsumerRow, MEMORY_KINDS, type MemoryKind } from '../governor/index.ts';

/** What consumers of small size are shown as together, by kind. */
export const OTHER = 'other';

/** One that is shown must be outgrown by this much before another takes its place. */
const OUTGROWN = 1.25;

const TOTALS = ['refusals', 'calls', 'claimedBytes', 'releasedBytes', 'faults'] as const;
type Totals = Record<(typeof TOTALS)[number], number>;

/** Consumers of one name and kind, or `other`. */
export interface ConsumerGroup extends Readonly<Totals> {
  readonly consumer: string;
  readonly kind: MemoryKind;
  /** Without what children hold, so that all together come to what is reserved. */
  readonly ownBytes: number;
  readonly reclaimableBytes: number;
  /** Absent where one of them has none. */
  readonly maxBytes?: number;
  /** What holders of one type count, added up. Absent for `other`. */
  readonly holder?: { readonly type: string; readonly counts: Readonly<Record<string, number>> };
}

interface Group {
  readonly key: string;
  readonly consumer: string;
  readonly kind: MemoryKind;
  ownBytes: number;
  reclaimableBytes: number;
  maxBytes: number;
  readonly totals: Totals;
  holder: { readonly type: string; readonly counts: Record<string, number> } | undefined;
}

/** The consumers of one look after another, within a bound. Keeps five numbers for each living one. */
export class ConsumerSeries {
  readonly #most: number;
  #before = new Map<string, Totals>();
  #shown = new Map<string, Totals>();
  readonly #others = new Map<MemoryKind, Totals>();
  readonly #all = none();
  #groups: readonly ConsumerGroup[] = [];

  /** `most`: how many are shown by name. */
  constructor(most: number) {
    this.#most = most;
  }

  /** At most as many as are shown by name, and one `other` for each kind. */
  get groups(): readonly ConsumerGroup[] {
    return this.#groups;
  }

  /** Of all consumers, those included that are gone, since the first look. */
  get all(): Readonly<Totals> {
    return this.#all;
  }

  update(rows: readonly ConsumerRow[]): void {
    const groups = groupRows(rows);
    const named = this.#choose(groups);
    const shown = new Map<string, Totals>();
    const before = new Map<string, Totals>();
    const result: ConsumerGroup[] = [];
    const others = new Map<MemoryKind, Group>();
    for (const group of groups) {
      const grown = growth(this.#before.get(group.key), group.totals);
      before.set(group.key, group.totals);
      addTotals(this.#all, grown);
      if (named.has(group)) {
        const totals = addTotals(this.#shown.get(group.key) ?? none(), grown);
        shown.set(group.key, totals);
        result.push(groupOf(group, totals));
      } else {
        addTotals(this.#othersOf(group.kind), grown);
        const other = others.get(group.kind) ?? newGroup(OTHER, group.kind);
        others.set(group.kind, other);
        other.ownBytes += group.ownBytes;
        other.reclaimableBytes += group.reclaimableBytes;
      }
    }
    for (const [kind, totals] of this.#others) result.push(groupOf(others.get(kind) ?? newGroup(OTHER, kind), totals));
    this.#before = before;
    this.#shown = shown;
    this.#groups = result;
  }

  #choose(groups: readonly Group[]): ReadonlySet<Group> {
    const score = (group: Group) => group.ownBytes * (this.#shown.has(group.key) ? OUTGROWN : 1);
    const candidates = groups.filter(({ consumer }) => consumer !== OTHER);
    if (candidates.length <= this.#most) return new Set(candidates);
    candidates.sort((a, b) => score(b) - score(a) || (a.key < b.key ? -1 : 1));
    return new Set(candidates.slice(0, this.#most));
  }

  #othersOf(kind: MemoryKind): Totals {
    const totals = this.#others.get(kind) ?? none();
    this.#others.set(kind, totals);
    return totals;
  }
}

/** Names need not be unique, labels must be. */
function groupRows(rows: readonly ConsumerRow[]): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const consumer = labelText(row.name);
    const key = keyOf(consumer, row.kind);
    let group = groups.get(key);
    if (group === undefined) {
      group = newGroup(consumer, row.kind);
      groups.set(key, group);
    }
    group.ownBytes += row.ownBytes;
    group.reclaimableBytes += row.reclaimableBytes;
    group.maxBytes += row.maxBytes ?? Number.POSITIVE_INFINITY;
    group.totals.refusals += row.refusals;
    if (row.reclaim !== undefined) {
      for (const name of TOTALS) if (name !== 'refusals') group.totals[name] += row.reclaim[name];
    }
    if (row.holder !== undefined) addHolder(group, row.holder);
  }
  return [...groups.values()];
}

function keyOf(consumer: string, kind: MemoryKind): string {
  return `${MEMORY_KINDS.indexOf(kind)} ${consumer}`;
}

function newGroup(consumer: string, kind: MemoryKind): Group {
  const key = keyOf(consumer, kind);
  const figures = { ownBytes: 0, reclaimableBytes: 0, maxBytes: 0, totals: none() };
  return { key, consumer, kind, ...figures, holder: undefined };
}

function addHolder(group: Group, { type, counts }: NonNullable<ConsumerRow['holder']>): void {
  const text = labelText(type);
  group.holder ??= { type: text, counts: Object.create(null) as Record<string, number> };
  if (group.holder.type !== text) return;
  const sums = group.holder.counts;
  for (const name of Object.keys(counts)) sums[name] = (sums[name] ?? 0) + counts[name]!;
}

function groupOf(
  { consumer, kind, ownBytes, reclaimableBytes, maxBytes, holder }: Group,
  totals: Totals,
): ConsumerGroup {
  const isBound = consumer !== OTHER && Number.isFinite(maxBytes);
  return {
    ...{ consumer, kind, ownBytes, reclaimableBytes, ...totals },
    ...(isBound ? { maxBytes } : {}),
    ...(holder === undefined ? {} : { holder }),
  };
}

function none(): Totals {
  return { refusals: 0, calls: 0, claimedBytes: 0, releasedBytes: 0, faults: 0 };
}

/** One of several of a name may have gone meanwhile: what is less than before has not grown. */
function growth(before: Totals | undefined, now: Totals): Totals {
  const grown = none();
  for (const name of TOTALS) grown[name] = Math.max(0, now[name] - (before?.[name] ?? 0));
  return grown;
}

function addTotals(to: Totals, more: Readonly<Totals>): Totals {
  for (const name of TOTALS) to[name] += more[name];
  return to;
}

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** What a wire in UTF-8 would make of it, so that two names that are one there are one here; and no line breaks. */
export function labelText(text: string): string {
  return withoutControlCharacters(String(text)).replaceAll(LONE_SURROGATE, '\ufffd');
}
