/** A bounded load on loopback: so many connections, each with one request under way, for so long. */
import { Agent, request } from 'node:http';

export interface ItemLoad {
  readonly port: number;
  readonly connections: number;
  readonly forMs: number;
  /** Ids asked for are below it; the small ones more often. */
  readonly ids: number;
}

export interface ItemResult {
  readonly served: number;
  readonly failed: number;
}

/** Ends early when the server is gone. The same requests in the same order, as far as connections keep to it. */
export async function requestItems({ port, connections, forMs, ids }: ItemLoad): Promise<ItemResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const until = performance.now() + forMs;
  const count = { served: 0, failed: 0 };
  let gone = false;
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(ids * (state / 2 ** 32) ** 1.5);
  };
  const one = async (): Promise<void> => {
    while (!gone && performance.now() < until) {
      const result = await getOnce(agent, port, `/${next()}`);
      if (result === 'served') count.served++;
      else count.failed++;
      gone ||= result === 'gone';
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  agent.destroy();
  return count;
}

function getOnce(agent: Agent, port: number, path: string): Promise<'served' | 'failed' | 'gone'> {
  return new Promise((resolve) => {
    const sent = request({ agent, host: '127.0.0.1', port, path }, (response) => {
      response.on('data', () => {});
      response.on('end', () => resolve(response.statusCode === 200 ? 'served' : 'failed'));
      response.on('error', () => resolve('gone'));
    });
    sent.on('error', () => resolve('gone'));
    sent.end();
  });
}
