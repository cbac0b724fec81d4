/** `npm run bench -- playlist` runs all of a program's benches, `npm run bench -- playlist parse` one of them. */
import { benchAdoption } from './adoption/overhead.ts';
import { benchAllocators } from './adoption-allocators/bench-allocators.ts';
import { benchHitRates } from './cache/hit-rates.ts';
import { benchCacheSpeed } from './cache/speed.ts';
import { benchTiers } from './cache/tiers.ts';
import { benchDashboard } from './dashboard/cost.ts';
import { benchExporters } from './exporters/cost.ts';
import { benchMainJob } from './governor/main-job.ts';
import { benchOperations } from './governor/operations.ts';
import { benchAttributes } from './intern/attributes.ts';
import { benchGuards } from './lifetime/guards.ts';
import { benchRegistry } from './lifetime/registry.ts';
import { benchObserving } from './observe/cost.ts';
import { benchLeakFinder } from './observe/leak-finder.ts';
import { benchWatched } from './observe/watched.ts';
import { drawPicture } from './picture.ts';
import { benchCleanup } from './pipeline/cleanup.ts';
import { benchOperators } from './pipeline/operators.ts';
import { benchGuide } from './playlist/guide.ts';
import { benchParse } from './playlist/parse.ts';
import { benchWholeJob } from './playlist/whole-job.ts';
import { benchPlugins } from './plugins/stages.ts';
import { benchPooledBuffers } from './pool/buffers.ts';
import { benchConnections } from './pool/connections.ts';
import { benchPooledObjects } from './pool/objects.ts';
import { benchSegments } from './spill/segments.ts';
import { benchPluginWorkers } from './wasm/workers.ts';

const BENCHES: Readonly<Record<string, Readonly<Record<string, () => Promise<void>>>>> = {
  cache: { speed: benchCacheSpeed, 'hit-rates': benchHitRates, tiers: benchTiers },
  playlist: { parse: benchParse, guide: benchGuide, 'whole-job': benchWholeJob },
  governor: { operations: benchOperations, 'main-job': benchMainJob },
  adoption: { overhead: benchAdoption },
  allocators: { rss: benchAllocators },
  pool: { objects: benchPooledObjects, buffers: benchPooledBuffers, connections: benchConnections },
  lifetime: { registry: benchRegistry, guards: benchGuards },
  intern: { attributes: benchAttributes },
  spill: { segments: benchSegments },
  cleanup: { strategies: benchCleanup },
  operators: { records: benchOperators },
  wasm: { workers: benchPluginWorkers },
  plugins: { stages: benchPlugins },
  exporters: { cost: benchExporters },
  dashboard: { cost: benchDashboard },
  observe: { cost: benchObserving, leaks: benchLeakFinder, watched: benchWatched },
  picture: { draw: drawPicture },
};

const [program = '', ...names] = process.argv.slice(2);
const benches = BENCHES[program];
const unknown = benches === undefined ? [program] : names.filter((name) => benches[name] === undefined);
if (benches === undefined || unknown.length > 0) {
  const known = Object.entries(BENCHES).map(([key, value]) => `${key} [${Object.keys(value).join('|')}]`);
  console.error(
    `No bench is called ${unknown.map((name) => `\`${name}\``).join(', ')}; there are: ${known.join(', ')}.`,
  );
  process.exitCode = 2;
} else {
  for (const [name, bench] of Object.entries(benches)) if (names.length === 0 || names.includes(name)) await bench();
}
