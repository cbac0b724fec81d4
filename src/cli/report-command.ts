import { describeCause } from '../describe-cause.ts';
import type { Page } from './page.ts';
import { type MemoryRecord, readRecord } from './record.ts';
import { diffPage, diffRecords } from './record-diff.ts';
import { recordPage } from './record-page.ts';
import type { Screen } from './screen.ts';
import { type Told, tell } from './tell.ts';
import { UsageError } from './usage-error.ts';

/** Shows what a process left behind. Throws `PLIMSOLL_USAGE`. */
export function reportCommand(path: string, wanted: Told, screen: Screen): void {
  const record = readRecord(path);
  tell(record.data, drawn(path, record), wanted, screen, screen.stdout);
}

/** Shows two of one kind beside each other. Throws `PLIMSOLL_USAGE`. */
export function diffCommand(a: string, b: string, wanted: Told, screen: Screen): void {
  if (a === '-' && b === '-') throw new UsageError('only one of the two can come from standard input');
  const [one, two] = [readRecord(a), readRecord(b)];
  if (one.kind !== two.kind) throw new UsageError(`${a} is a ${one.kind} and ${b} a ${two.kind}: nothing to compare`);
  drawn(a, one);
  drawn(b, two);
  const diff = diffRecords(one, two, [a, b]);
  tell(diff, diffPage(diff), wanted, screen, screen.stdout);
}

/** Of a file that looked like a record and is damaged inside. */
function drawn(path: string, record: MemoryRecord): Page {
  try {
    return recordPage(record);
  } catch (cause) {
    throw new UsageError(`${path} is a ${record.kind} that cannot be shown: ${describeCause(cause)}`, cause);
  }
}
