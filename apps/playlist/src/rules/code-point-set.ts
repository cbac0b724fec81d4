/**
 * Sets of Unicode code points: sorted, separate ranges as pairs `[first, last, first, last, ...]`, both ends included.
 */
export type CodePointSet = readonly number[];

export const LAST_CODE_POINT = 0x10ffff;
export const DIGITS: CodePointSet = [0x30, 0x39];
export const WORD_CHARACTERS: CodePointSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
/** RE2's `\s`: tab, newline, form feed, carriage return, space. */
export const SPACES: CodePointSet = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
export const ANYTHING: CodePointSet = [0, LAST_CODE_POINT];
export const ALL_BUT_NEWLINE: CodePointSet = [0, 0x09, 0x0b, LAST_CODE_POINT];

/** The set of ranges in any order, overlapping or not. */
export function setOf(ranges: readonly number[]): CodePointSet {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const set: number[] = [];
  for (const [first, last] of pairs) {
    if (set.length > 0 && first <= set.at(-1)! + 1) set[set.length - 1] = Math.max(set.at(-1)!, last);
    else set.push(first, last);
  }
  return set;
}

export function complement(set: CodePointSet): CodePointSet {
  const rest: number[] = [];
  let from = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > from) rest.push(from, set[i]! - 1);
    from = set[i + 1]! + 1;
  }
  if (from <= LAST_CODE_POINT) rest.push(from, LAST_CODE_POINT);
  return rest;
}

export function areDisjoint(a: CodePointSet, b: CodePointSet): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i + 1]! < b[j]!) i += 2;
    else if (b[j + 1]! < a[i]!) j += 2;
    else return false;
  }
  return true;
}

/**
 * The set with the other case of its letters, as RE2 folds it; undefined when that is not known here: only ASCII
 * letters (to which `ſ` and the Kelvin sign belong) and characters without case are.
 */
export function foldCase(set: CodePointSet): CodePointSet | undefined {
  const folded = [...set];
  for (let i = 0; i < set.length; i += 2) {
    const [first, last] = [set[i]!, set[i + 1]!];
    if (last > 0x7f && !(first <= 0x80 && last === LAST_CODE_POINT) && !areCaseless(Math.max(first, 0x80), last))
      return;
    addOtherCase(folded, first, last, 0x41, 0x20);
    addOtherCase(folded, first, last, 0x61, -0x20);
    if ((first <= 0x4b && last >= 0x4b) || (first <= 0x6b && last >= 0x6b)) folded.push(0x212a, 0x212a);
    if ((first <= 0x53 && last >= 0x53) || (first <= 0x73 && last >= 0x73)) folded.push(0x17f, 0x17f);
    // A range up to the end holds those two signs themselves, and every letter's other case but ASCII's.
    if (last === LAST_CODE_POINT) folded.push(0x4b, 0x4b, 0x53, 0x53, 0x6b, 0x6b, 0x73, 0x73);
  }
  return setOf(folded);
}

/** The set as it is written in a JavaScript regular expression with the `u` flag. */
export function sourceOf(set: CodePointSet): string {
  if (set.length === 2 && set[0] === set[1]) return escaped(set[0]!);
  if (set.at(-1) === LAST_CODE_POINT) {
    const rest = complement(set);
    return rest.length === 0 ? '[^]' : `[^${rangesOf(rest)}]`;
  }
  return set.length === 0 ? '[]' : `[${rangesOf(set)}]`;
}

function addOtherCase(target: number[], first: number, last: number, letters: number, distance: number): void {
  const from = Math.max(first, letters);
  const to = Math.min(last, letters + 25);
  if (from <= to) target.push(from + distance, to + distance);
}

const WIDEST_CHECK = 0x8000;

function areCaseless(first: number, last: number): boolean {
  if (last - first > WIDEST_CHECK) return false;
  for (let code = first; code <= last; code++) {
    const character = String.fromCodePoint(code);
    if (character.toLowerCase() !== character || character.toUpperCase() !== character) return false;
  }
  return true;
}

function rangesOf(set: CodePointSet): string {
  let source = '';
  for (let i = 0; i < set.length; i += 2) {
    source += escaped(set[i]!);
    if (set[i + 1]! > set[i]!) source += `-${escaped(set[i + 1]!)}`;
  }
  return source;
}

function escaped(code: number): string {
  const plain = (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return plain || code === 0x20 ? String.fromCharCode(code) : `\\u{${code.toString(16)}}`;
}
