import { checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { MONITOR_KINDS, type MonitorEvent, type MonitorKind } from './monitor-events.ts';

/** What is asked of a monitor; what is left out does not narrow it. */
export interface MonitorQuery {
  readonly kinds?: readonly MonitorKind[];
  /** As it was recorded, exactly. */
  readonly source?: string;
  /** Milliseconds since 1970, both included. */
  readonly from?: number;
  readonly to?: number;
  /** The most that are given, and it is the latest: 1 up. Default all that are kept. */
  readonly limit?: number;
}

/** Those that fit, oldest first, as copies. Throws `RangeError` for a query that is none. */
export function queryEvents(events: Iterable<MonitorEvent>, given: MonitorQuery): MonitorEvent[] {
  const query = copyOptions('query', given, ['kinds', 'source', 'from', 'to', 'limit']);
  const { kinds, source, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = query;
  if (kinds !== undefined && !Array.isArray(kinds)) throw invalidOption('kinds', 'a list of kinds', kinds);
  const wanted =
    kinds === undefined ? undefined : new Set(kinds.map((kind) => checkOneOf('kinds', kind, MONITOR_KINDS)));
  if (source !== undefined && typeof source !== 'string') throw invalidOption('source', 'a text', source);
  const range = { from, to };
  for (const [name, value] of Object.entries(range)) {
    if (typeof value !== 'number' || Number.isNaN(value)) throw invalidOption(name, 'milliseconds since 1970', value);
  }
  const limit = checkWhole('limit', query.limit ?? Number.MAX_SAFE_INTEGER, 1);
  const found: MonitorEvent[] = [];
  for (const event of events) {
    if (wanted !== undefined && !wanted.has(event.kind)) continue;
    if (source !== undefined && event.source !== source) continue;
    if (event.at >= from && event.at <= to) found.push(event);
  }
  return found.slice(-limit).map((event) => ({ ...event }));
}
