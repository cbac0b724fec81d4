import { describeCause } from '../describe-cause.ts';
import type { Page } from './page.ts';
import { type MemoryRecord, readRecord } from './record.ts';
import { diffPage, diffRecords } from './record-diff.ts';
import { recordPage } from './record-page.ts';
import { renderPage } from './render.ts';
import type { Screen } from './screen.ts';
import { type Told, tell } from './tell.ts';
import { UsageError } from './usage-error.ts';

/** Shows what a process left behind. Throws `PLIMSOLL_USAGE`. */
export function reportCommand(path: string, wanted: Told, screen: Screen): void {
  sound(path, () => {
    const record = readRecord(path);
    tell(record.data, drawable(record), wanted, screen, screen.stdout);
  });
}

/** Shows two of one kind beside each other. Throws `PLIMSOLL_USAGE`. */
export function diffCommand(a: string, b: string, wanted: Told, screen: Screen): void {
  if (a === '-' && b === '-') throw new UsageError('only one of the two can come from standard input');
  const [one, two] = [sound(a, () => readRecord(a)), sound(b, () => readRecord(b))];
  if (one.kind !== two.kind) throw new UsageError(`${a} is a ${one.kind} and ${b} a ${two.kind}: nothing to compare`);
  // A record that cannot be shown is none to compare, and this says which of them it is.
  sound(a, () => drawable(one));
  sound(b, () => drawable(two));
  sound(`${a} or ${b}`, () => {
    const diff = diffRecords(one, two, [a, b]);
    tell(diff, diffPage(diff), wanted, screen, screen.stdout);
  });
}

/** What can be made a page and not drawn is damaged as well, however it is wanted. */
function drawable(record: MemoryRecord): Page {
  const page = recordPage(record);
  renderPage(page);
  return page;
}

/** What is done with a file that looks like a record, and may have anything inside: what is met there is a fault of the file. */
function sound<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof TypeError || cause instanceof RangeError)) throw cause;
    throw new UsageError(`${name} is damaged: ${describeCause(cause)}`, cause);
  }
}
