import { appendFileSync } from 'node:fs';
import { ensureProcessGovernor } from 'plimsoll';
import { nextUseCacheHandler } from 'plimsoll/adopt';

const handler = nextUseCacheHandler(ensureProcessGovernor(), { name: 'next use cache', maxBytes: 2 ** 20 });

/** Writes down each call, for the gate to read. */
export default {
  ...handler,
  async get(key, softTags) {
    const found = await handler.get(key, softTags);
    note('get', found !== undefined);
    return found;
  },
  async set(key, pendingEntry) {
    await handler.set(key, pendingEntry);
    note('set', handler.stats);
  },
};

function note(...what) {
  if (process.env.RECIPE_LOG) appendFileSync(process.env.RECIPE_LOG, `${JSON.stringify(['use cache', ...what])}\n`);
}
