/** The same service, as it is and with what is to keep it alive. */
import type { ServiceOptions } from './run-service.ts';

export interface Contender extends Pick<ServiceOptions, 'program' | 'env' | 'nodeArgs'> {
  readonly name: string;
}

export const MOST_CONNECTIONS = 64;
const MIB = 2 ** 20;

export const BARE: Contender = { name: 'as it is', program: 'service.mjs' };

const AUTO = ['--import', 'plimsoll/auto'];

/** No flag of V8: what `node` chooses for itself. */
export const ADOPTED: Contender = {
  name: 'adopted',
  program: 'service-adopted.mjs',
  nodeArgs: AUTO,
  env: { PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed' },
};

/** The same, looking only. */
export const OBSERVED: Contender = { ...ADOPTED, name: 'adopted, observing', env: { PLIMSOLL: 'observe' } };

/**
 * The best of those tried in 256 MiB: what it turns away by is RSS, which has 44 MiB of program files in it that the kernel does not count before it
 * kills, so the bound may stand near the limit. Bounds on the heap or the event loop alone do not keep it alive: the buffers of the cache are in neither.
 */
export const UNDER_PRESSURE: Contender = {
  name: '@fastify/under-pressure',
  program: 'service-under-pressure.mjs',
  env: { UNDER_PRESSURE: JSON.stringify({ maxRssBytes: 250 * MIB, maxEventLoopDelay: 1_000, sampleInterval: 50 }) },
};

/** Beyond settings: a handler that empties the whole cache for every request that finds RSS above its bound, and lets the request go on. */
export const UNDER_PRESSURE_THAT_EMPTIES: Contender = {
  name: 'under-pressure, emptying the cache',
  program: 'service-under-pressure.mjs',
  env: { UNDER_PRESSURE: JSON.stringify({ maxRssBytes: 220 * MIB, sampleInterval: 100, drop: 'and serve' }) },
};
