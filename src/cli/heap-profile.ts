/** What V8's sampling heap profile has in its file, as far as it is used here. */
interface ProfileNode {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly selfSize: number;
  readonly children: readonly ProfileNode[];
}

/** A `.heapprofile`, summed up by function. Plain data. */
export interface HeapProfileSummary {
  readonly kind: 'heap-profile';
  readonly totalBytes: number;
  /** Largest first, at most 100. */
  readonly functions: readonly { readonly name: string; readonly at: string; readonly selfBytes: number }[];
  readonly otherBytes: number;
}

const MOST_FUNCTIONS = 100;

/** Undefined for what is none. Bytes by the function that allocated them, whoever called it. */
export function readHeapProfile(value: unknown): HeapProfileSummary | undefined {
  const head = (value as { readonly head?: ProfileNode } | null)?.head;
  if (typeof head?.callFrame !== 'object' || !Array.isArray(head.children)) return undefined;
  const byFunction = new Map<string, { readonly name: string; readonly at: string; selfBytes: number }>();
  let totalBytes = 0;
  // Not by recursion: a profile is as deep as the stack of the program was.
  const due: ProfileNode[] = [head];
  for (let node = due.pop(); node !== undefined; node = due.pop()) {
    for (const child of node.children) due.push(child);
    if (!(node.selfSize > 0)) continue;
    const { functionName, url, lineNumber } = node.callFrame;
    const at = url === '' ? '' : `${url}:${lineNumber + 1}`;
    const key = JSON.stringify([functionName, at]);
    const entry = byFunction.get(key) ?? { name: functionName === '' ? '(anonymous)' : functionName, at, selfBytes: 0 };
    entry.selfBytes += node.selfSize;
    totalBytes += node.selfSize;
    byFunction.set(key, entry);
  }
  const sorted = [...byFunction.values()].sort((a, b) => b.selfBytes - a.selfBytes);
  const functions = sorted.slice(0, MOST_FUNCTIONS);
  const named = functions.reduce((sum, { selfBytes }) => sum + selfBytes, 0);
  return { kind: 'heap-profile', totalBytes, functions, otherBytes: totalBytes - named };
}
