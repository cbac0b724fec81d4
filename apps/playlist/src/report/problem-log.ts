/** One entry that could not be used. */
export interface Problem {
  /** Path or masked URL of the file. */
  readonly file: string;
  /** From 1; 0 where there are no lines. */
  readonly line: number;
  readonly kind: string;
  readonly detail: string;
}

/** How many problems are kept in words; the rest is counted. */
export const SHOWN_PROBLEMS = 20;

/** Bad entries of a run: the first few as they were, all of them counted by kind. */
export class ProblemLog {
  readonly shown: Problem[] = [];
  readonly byKind = new Map<string, number>();
  count = 0;

  add(file: string, line: number, kind: string, detail = ''): void {
    this.count++;
    this.byKind.set(kind, (this.byKind.get(kind) ?? 0) + 1);
    if (this.shown.length < SHOWN_PROBLEMS) this.shown.push({ file, line, kind, detail: detail.slice(0, 200) });
  }
}
