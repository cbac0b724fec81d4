// Starts a worker thread, a child and a worker of a cluster, and prints whether each has a governor.
import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

const hasGovernor = () => globalThis[Symbol.for('plimsoll.governor.v1')] !== undefined;
const self = fileURLToPath(import.meta.url);

if (!isMainThread) parentPort.postMessage(hasGovernor());
else if (process.argv[2] === 'child') process.send(hasGovernor(), () => process.disconnect());
else if (cluster.isWorker) {
  const server = createServer((_request, response) => response.end(String(hasGovernor()))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answer = await (await fetch(`http://127.0.0.1:${server.address().port}`)).text();
  process.send(answer === 'true', () => process.exit(4));
} else {
  const worker = new Worker(new URL(import.meta.url));
  const [inThread] = await once(worker, 'message');
  const child = fork(self, ['child']);
  const [inChild] = await once(child, 'message');
  cluster.setupPrimary({ exec: self });
  const member = cluster.fork();
  const [inCluster] = await once(member, 'message');
  const [code] = await once(member, 'exit');
  console.log({ here: hasGovernor(), inThread, inChild, inCluster, code });
}
