import type { Session } from 'node:inspector';
import { censusOf, LeakFinderMark } from './census-of-graph.ts';
import type { CensusRequest, HeapCensus, HeapSource } from './heap-census.ts';
import { SnapshotParser } from './snapshot-parser.ts';

const CHUNK = 'HeapProfiler.addHeapSnapshotChunk';

/**
 * V8's own heap, counted from a heap snapshot that the inspector hands over in pieces of a megabyte: the JSON is never there as a whole, which `v8.getHeapSnapshot` would hold. V8
 * numbers all objects from the first census on, and remembers the numbers until this is disposed. Rejects where there is no inspector in this Node.
 */
export class InspectorHeap implements HeapSource {
  #session: Session | undefined;
  /** Held, and never asked for anything: it is looked for in the snapshot. */
  protected readonly mark = new LeakFinderMark();
  #marks: readonly number[] = [];

  async take(request: CensusRequest): Promise<HeapCensus> {
    // Loaded on first use: a Node may be built without it.
    const session = (this.#session ??= connect());
    const parser = new SnapshotParser();
    let fault: unknown;
    const onChunk = ({ params }: { readonly params: { readonly chunk: string } }) => {
      if (fault !== undefined) return;
      try {
        parser.push(params.chunk);
      } catch (cause) {
        fault = cause;
      }
    };
    session.on(CHUNK, onChunk);
    try {
      await new Promise<void>((resolve, reject) => {
        session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: false }, (error) =>
          error === null ? resolve() : reject(error),
        );
      });
    } finally {
      session.removeListener(CHUNK, onChunk);
    }
    if (fault !== undefined) throw fault;
    const { marks, ...census } = censusOf(parser.finish(), request, this.#marks);
    this.#marks = marks;
    return census;
  }

  /** V8 forgets the numbers. Those of others who took them meanwhile too. */
  [Symbol.dispose](): void {
    this.#session?.disconnect();
    this.#session = undefined;
  }
}

function connect(): Session {
  const session = new (process.getBuiltinModule('node:inspector').Session)();
  session.connect();
  return session;
}
