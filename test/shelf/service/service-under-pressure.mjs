/** `service.mjs` with `@fastify/under-pressure`. Its settings come from the environment, so that several can be tried. */
import underPressure from '@fastify/under-pressure';
import Fastify from 'fastify';
import { LRUCache } from 'lru-cache';
import pg from 'pg';

const app = Fastify({ bodyLimit: 1024 * 1024 });
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const cache = new LRUCache({ max: 20_000 });
let orders = [];

// `drop`: what its documentation offers for acting, called for each request that finds a bound passed.
const { drop, ...settings } = JSON.parse(process.env.UNDER_PRESSURE);
const pressureHandler = (_request, reply) => {
  cache.clear();
  if (drop === 'and shed') reply.code(503).header('retry-after', '10').send();
};
await app.register(underPressure, { ...settings, ...(drop && { pressureHandler }) });

async function item(id) {
  let found = cache.get(id);
  if (found === undefined) {
    const { rows } = await pool.query('select id, title, attributes, picture from items where id = $1', [id]);
    found = rows[0];
    if (found !== undefined) cache.set(id, found);
  }
  return found;
}

app.get('/health', async () => ({ status: 'ok' }));

app.get('/item/:id', async (request, reply) => {
  const found = await item(Number(request.params.id));
  if (found === undefined) return reply.code(404).send({ error: 'no such item' });
  return { id: found.id, title: found.title, attributes: found.attributes, pictureBytes: found.picture.length };
});

app.get('/picture/:id', async (request, reply) => {
  const found = await item(Number(request.params.id));
  if (found === undefined) return reply.code(404).send({ error: 'no such item' });
  return reply.type('application/octet-stream').send(found.picture);
});

app.post('/orders', async (request, reply) => {
  const { customer, lines } = request.body;
  const total = lines.reduce((sum, line) => sum + line.price * line.count, 0);
  orders.push({ customer, total, lines });
  return reply.code(202).send({ accepted: lines.length, total });
});

app.get('/report', async () => {
  const { rows } = await pool.query('select id, title, attributes from items order by id limit 1000');
  const byCategory = Object.groupBy(
    rows.flatMap(({ id, title, attributes }) =>
      attributes.sizes.map((size) => ({ id, title, ...attributes, ...size })),
    ),
    (line) => line.category,
  );
  return Object.entries(byCategory).map(([category, lines]) => ({
    category,
    stock: lines.reduce((sum, line) => sum + line.stock, 0),
    codes: lines.map((line) => `${line.title} ${line.size}: ${line.code}`),
  }));
});

// What was ordered is written once a second.
setInterval(async () => {
  const batch = orders;
  orders = [];
  if (batch.length === 0) return;
  const customers = batch.map((order) => order.customer);
  const totals = batch.map((order) => order.total);
  await pool
    .query('insert into orders (customer, total) select * from unnest($1::text[], $2::numeric[])', [customers, totals])
    .catch((error) => app.log.error(error));
}, 1000).unref();

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
console.log('listening');
