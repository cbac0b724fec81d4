import { formatBytes } from '../bytes.ts';
import { withoutControlCharacters as plain } from '../control-characters.ts';
import type { LeakReport, LeakSuspect } from './leak-report.ts';

const PERCENT = 100;
/** A confidence is never rounded up to certainty. */
const ALMOST = 99.9;

/** A report as text: what is suspected, by how much it grows, and how it is held. Pure. */
export function formatLeakReport(report: LeakReport): string {
  const { suspects, compared, asked, droppedRows, notes, checkpoints, spentMs } = report;
  const lines = [
    `${suspects.length === 0 ? 'no leak' : counted(suspects.length, 'suspect')} in ${counted(compared, 'checkpoint')} compared, ${counted(asked, 'row')} that moved`,
  ];
  for (const suspect of suspects) lines.push(...linesOf(suspect));
  const [first, last] = [checkpoints.find((each) => each.compared), checkpoints.at(-1)];
  if (first !== undefined && last !== undefined) {
    const pair = (a: number, b: number) => `${formatBytes(a)} to ${formatBytes(b)}`;
    const heap = pair(first.heapBytes, last.heapBytes);
    lines.push(`the process: heap ${heap}, external ${pair(first.externalBytes, last.externalBytes)}`);
  }
  lines.push(`looking took ${spentMs.toFixed(0)} ms`);
  if (droppedRows > 0) lines.push(`rows without a place: ${droppedRows}`);
  for (const note of notes) lines.push(`note: ${plain(note)}`);
  return `${lines.join('\n')}\n`;
}

function linesOf({ kind, what, at, confidence, within, points, heldBy, heldShare, ...by }: LeakSuspect): string[] {
  const place = at === undefined ? '' : ` (${plain(at)})`;
  const sure = Math.min(ALMOST, Math.floor(confidence * PERCENT * 10) / 10).toFixed(1);
  const lines = [`${kind} ${plain(what)}${place}: ${growth(by)}, ${sure}% sure`];
  const last = points.at(-1);
  const first = points[0];
  if (first !== undefined && last !== undefined) {
    const [from, to] =
      last.bytes === 0 ? [first.count, last.count] : [formatBytes(first.bytes), formatBytes(last.bytes)];
    lines.push(`  from ${from} to ${to}, checkpoints ${first.checkpoint} to ${last.checkpoint}`);
  }
  if (within !== undefined) lines.push(`  inside ${plain(within)}`);
  if (heldBy !== undefined) {
    lines.push(`  held by ${plain(heldBy.join(' → '))} (${((heldShare ?? 0) * PERCENT).toFixed(0)}% of those asked)`);
  }
  return lines;
}

function growth({
  growthBytes,
  growthCount,
  bytesEach,
  countEach,
}: Pick<LeakSuspect, 'growthBytes' | 'growthCount' | 'bytesEach' | 'countEach'>): string {
  const bytes = growthBytes === 0 && bytesEach === 0 ? [] : [`${formatBytes(Math.round(bytesEach))} each time`];
  const count = growthCount === 0 && countEach === 0 ? [] : [`${Math.round(countEach)} more each time`];
  return [...count, ...bytes].join(', ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
