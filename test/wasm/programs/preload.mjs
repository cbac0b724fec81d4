import { isMainThread } from 'node:worker_threads';

process.stderr.write(`preload ${process.ppid} ${isMainThread}\n`);
