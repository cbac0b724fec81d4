import type { RunRow } from '../src/dashboard/run-row.ts';
import type { TrainRow } from '../src/dashboard/train-row.ts';
import type { MonitorEvent } from '../src/observe/monitor-events.ts';
import type { Observation, ObservationPoint } from '../src/observe/observation.ts';

/** What whoever looks may do. */
export interface Session {
  readonly mayRead: boolean;
  readonly mayAct: boolean;
  readonly hasToken: boolean;
  readonly title?: string;
  readonly commands: { readonly collect: boolean; readonly reclaim: boolean; readonly heapSnapshot: boolean };
}

export interface BoardLinkOptions {
  readonly onSession: (session: Session) => void;
  readonly onState: (state: 'waiting' | 'live' | 'lost', text: string) => void;
  readonly onObservation: (observation: Observation) => void;
  /** After the stream opened, and after it opened again. */
  readonly onOpen: () => Promise<void>;
}

const RETRY_MS = 3_000;

/** The page's side of the server. Addresses are relative: the page may be mounted anywhere. */
export class BoardLink {
  readonly #options: BoardLinkOptions;
  #source: EventSource | undefined;
  #retry: number | undefined;

  constructor(options: BoardLinkOptions) {
    this.#options = options;
  }

  /** Asks what may be done, and listens if one may look. */
  async start(): Promise<void> {
    window.clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = undefined;
    try {
      const session = await getJson<Session>('api/session');
      this.#options.onSession(session);
      if (session.mayRead) this.#listen();
      else this.#options.onState('waiting', 'not logged in');
    } catch {
      this.#lost();
    }
  }

  points(since: number): Promise<readonly ObservationPoint[]> {
    return getJson(`api/points?since=${since}`);
  }

  events(): Promise<readonly MonitorEvent[]> {
    return getJson('api/events');
  }

  runs(): Promise<readonly RunRow[]> {
    return getJson('api/runs');
  }

  journal(): Promise<readonly TrainRow[]> {
    return getJson('api/journal');
  }

  login(token: string): Promise<unknown> {
    return post('api/login', { token });
  }

  logout(): Promise<unknown> {
    return post('api/logout', {});
  }

  collect(): Promise<{ durationMs: number; freedBytes: number }> {
    return post('api/collect', {});
  }

  reclaim(
    strategy: string,
  ): Promise<{ claimedBytes: number; releasedBytes: number; seenBytes: number; durationMs: number }> {
    return post('api/reclaim', { strategy });
  }

  heapSnapshot(): Promise<{ path: string; bytes: number }> {
    return post('api/heap-snapshot', {});
  }

  #listen(): void {
    const source = new EventSource('api/stream');
    this.#source = source;
    source.addEventListener('open', () => {
      this.#options.onState('live', 'live');
      this.#options.onOpen().catch(() => {});
    });
    source.addEventListener('observation', (event) => {
      this.#options.onObservation(JSON.parse((event as MessageEvent<string>).data) as Observation);
    });
    source.addEventListener('error', () => {
      // The browser tries again by itself where the connection broke, and not where it was refused.
      if (source.readyState === EventSource.CLOSED) this.#lost();
      else this.#options.onState('lost', 'connection lost, trying again');
    });
  }

  #lost(): void {
    this.#options.onState('lost', 'connection lost, trying again');
    this.#retry = window.setTimeout(() => void this.start(), RETRY_MS);
  }
}

async function getJson<T>(path: string): Promise<T> {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok) throw new Error(await whyOf(response));
  return (await response.json()) as T;
}

async function post<T>(path: string, body: object): Promise<T> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await whyOf(response));
  return (await response.json()) as T;
}

async function whyOf(response: Response): Promise<string> {
  try {
    return ((await response.json()) as { error?: string }).error ?? response.statusText;
  } catch {
    return response.statusText;
  }
}
