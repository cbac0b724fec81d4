/** What adoption took: the lines by which a service differs from itself without Plimsoll. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface AdoptionLines {
  /** In the order of the file, without blank lines and comments. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** By the longest common subsequence of lines, as `diff` finds it; blank lines and comments are left out on both sides. */
export function adoptionLines(before = 'service.mjs', after = 'service-adopted.mjs'): AdoptionLines {
  return differingLines(codeLines(before), codeLines(after));
}

export function differingLines(a: readonly string[], b: readonly string[]): AdoptionLines {
  // length[i][j]: of the longest common subsequence of what follows i and j.
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i]![j] = a[i] === b[j] ? length[i + 1]![j + 1]! + 1 : Math.max(length[i + 1]![j]!, length[i]![j + 1]!);
    }
  }
  const added: string[] = [];
  const removed: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++;
      j++;
    } else if (j < b.length && (i === a.length || length[i]![j + 1]! >= length[i + 1]![j]!)) added.push(b[j++]!);
    else removed.push(a[i++]!);
  }
  return { added, removed };
}

function codeLines(name: string): string[] {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s*(\/\/|\/?\*)/.test(line));
}
