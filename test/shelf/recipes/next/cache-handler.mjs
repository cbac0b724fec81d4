import { appendFileSync } from 'node:fs';
import { ensureProcessGovernor } from 'plimsoll';
import { nextCacheHandler } from 'plimsoll/adopt';

const Handler = nextCacheHandler(ensureProcessGovernor(), { name: 'next pages', maxBytes: 2 ** 20 });

/** Writes down each call, for the gate to read. */
export default class extends Handler {
  async get(key, context) {
    const found = await super.get(key, context);
    note('get', key, context.kind, found !== null);
    return found;
  }

  async set(key, value, context) {
    await super.set(key, value, context);
    note('set', key, value?.kind, Handler.stats);
  }
}

function note(...what) {
  if (process.env.RECIPE_LOG) appendFileSync(process.env.RECIPE_LOG, `${JSON.stringify(['page', ...what])}\n`);
}
