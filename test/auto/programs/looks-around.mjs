// Prints what a program can see of what runs beside it.
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const shown = () => ({
  isMainThread,
  argv: process.argv.slice(2),
  listeners: Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)])),
  resources: process.getActiveResourcesInfo().filter((name) => name !== 'FSReqPromise'),
  exitCode: process.exitCode,
  globals: Object.keys(globalThis),
  gc: typeof globalThis.gc,
  stackTraceLimit: Error.stackTraceLimit,
  environment: Object.keys(process.env)
    .filter((name) => !/^(PLIMSOLL|NODE_)/.test(name))
    .sort(),
});

const first = shown();
setTimeout(() => {
  writeSync(1, `${JSON.stringify([first, shown()], undefined, 1)}\n`);
  process.exitCode = 7;
}, 50);
