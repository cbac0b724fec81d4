/**
 * No code: `node --import plimsoll/auto app.js` puts a governor into a program that knows nothing of it. It observes, unless `PLIMSOLL` says `on`; what else can be set
 * stands in the environment as well (`AutoSettings`). It writes lines to standard error when the level changes, and changes neither output nor exit code otherwise.
 * `--require plimsoll/auto` does the same, and keeps Node loading a CommonJS program as it does without.
 * @module
 */
import { begin } from './auto/index.ts';

export type { Auto, AutoMode, AutoSettings, AutoSignal, RecycleSettings, ShedSettings } from './auto/index.ts';

/** What has begun; undefined in worker threads and with `PLIMSOLL=off`. Disposing it takes everything out again. */
export const auto = begin();
