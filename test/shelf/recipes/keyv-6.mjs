/** Keyv 6, which hands namespace and expiry to the store, on the same adapter as Keyv 5. */
import Keyv from 'keyv';
import { createGovernor } from 'plimsoll';
import { keyvStore } from 'plimsoll/adopt';

const governor = createGovernor({ limitBytes: 2 ** 30, runtimeBytes: 0 });
const store = keyvStore(governor, { name: 'sessions', maxBytes: 2 ** 20 });
const keyv = new Keyv({ store, namespace: 'users', ttl: 60_000 });
const errors = [];
keyv.on('error', (error) => errors.push(String(error)));

const found = {};
found.set = await keyv.set('1', { name: 'Ada', bytes: Buffer.from('b') });
found.get = (await keyv.get('1')).name;
found.many = (
  await keyv.setMany([
    { key: '2', value: 2 },
    { key: '3', value: 3, ttl: 1 },
  ])
).join();
await new Promise((resolve) => setTimeout(resolve, 20));
found.getMany = JSON.stringify(await keyv.getMany(['2', '3', '4']));
found.has = (await keyv.hasMany(['2', '3'])).join();
found.iterated = [];
for await (const [key] of keyv.iterator()) found.iterated.push(key);
found.iterated = found.iterated.sort().join();
found.delete = [await keyv.delete('2'), await keyv.delete('2')].join();
found.tooLarge = await keyv.set('large', 'x'.repeat(2 ** 20));
store.namespace = 'others';
await store.set('1', 'another namespace');
store.namespace = 'users';
await keyv.clear();
found.left = store.stats.entryCount;
for (let i = 0; i < 100; i++) await keyv.set(`${i}`, 'x'.repeat(50_000));
found.withinBytes = store.stats.bytes <= 2 ** 20 && store.stats.evicted > 50;
await keyv.disconnect();
found.heldAtTheEnd = governor.heldBytes;
found.errors = errors.join();
console.log(JSON.stringify(found));
process.exit();
