/**
 * A thousand users on 25 connections to a real PostgreSQL: `node connections.mjs URL`. First in peace, then with backends that an administrator ends in
 * the middle, then all of them at once. Prints what came of it as JSON.
 */
import pg from 'pg';
import { ConnectionPool } from 'plimsoll/pool';
import { PgManager } from './pg-manager.mjs';

const [url] = process.argv.slice(2);
const USERS = 1_000;
const QUERIES = 5;
const CONNECTIONS = 25;
const NAME = 'pooled';
const LONGEST_MS = 55_000;

const manager = new PgManager(url, NAME);
const pool = new ConnectionPool(manager, {
  name: 'pg',
  maxSize: CONNECTIONS,
  maxWaiting: USERS,
  acquireTimeoutMs: 30_000,
});
const admin = new pg.Client({ connectionString: url, application_name: 'admin' });
await admin.connect();

/** Connections that are dead and lent again would be asked for ever. */
setTimeout(() => {
  console.error(`not over after ${LONGEST_MS} ms: ${JSON.stringify(pool.stats)}`);
  process.exit(1);
}, LONGEST_MS).unref();

/** In use by somebody: nobody else may have it. */
const busy = new Set();

/** Everybody asks again and again until all of his queries have been answered. */
async function run(queries, onAnswered = () => {}) {
  const found = { answered: 0, wrong: 0, failed: 0, shared: 0, outOfOrder: 0, otherErrors: '' };
  let asked = 0;
  let served = 0;
  const user = async (number) => {
    for (let done = 0; done < queries; ) {
      const ticket = asked++;
      using lease = await pool.acquire();
      if (ticket !== served++) found.outOfOrder++;
      const client = lease.connection;
      if (busy.has(client)) found.shared++;
      busy.add(client);
      try {
        const { rows } = await client.query('select $1::int as number', [number]);
        if (rows[0].number !== number) found.wrong++;
        onAnswered(++found.answered);
        done++;
      } catch (cause) {
        lease.suspect();
        found.failed++;
        // That the connection is gone, in the words of server, client and socket.
        if (!/terminat|not queryable|ended|closed|ECONNRESET|EPIPE/i.test(String(cause?.message)))
          found.otherErrors = String(cause?.message);
      } finally {
        busy.delete(client);
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: USERS }, (_, number) => user(number)));
  found.elapsedMs = Math.round(performance.now() - started);
  return found;
}

async function backends() {
  const { rows } = await admin.query(
    'select count(*)::int as count from pg_stat_activity where application_name = $1',
    [NAME],
  );
  return rows[0].count;
}

async function kill(most) {
  const { rows } = await admin.query(
    'select pg_terminate_backend(pid) as done from (select pid from pg_stat_activity where application_name = $1 order by random() limit $2) as chosen',
    [NAME, most],
  );
  return rows.length;
}

const calm = await run(QUERIES);
calm.backends = await backends();

/** Two of the backends for every 200 answers. */
const kills = [];
const troubled = await run(QUERIES, (answered) => {
  if (answered % 200 === 0) kills.push(kill(2));
});
const killed = (await Promise.all(kills)).reduce((sum, count) => sum + count, 0);

// All at once, while everybody waits.
const storm = run(QUERIES);
await new Promise((resolve) => setTimeout(resolve, 50));
const killedAtOnce = await kill(CONNECTIONS * 4);
const all = await storm;

const stats = pool.stats;
const drained = await pool.drain({ deadlineMs: 10_000 });
await new Promise((resolve) => setTimeout(resolve, 200));
const left = await backends();
await admin.end();
console.log(
  JSON.stringify({
    calm,
    troubled: { ...troubled, killed },
    storm: { ...all, killed: killedAtOnce },
    stats,
    drained,
    left,
    opened: manager.opened,
    ended: manager.ended,
  }),
);
