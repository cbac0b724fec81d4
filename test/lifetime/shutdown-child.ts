/** A program that ends in the way its first argument says; its tests send it signals. */
import { onShutdown, ResourceRegistry } from 'plimsoll/lifetime';

const [how = ''] = process.argv.slice(2);
const registry = new ResourceRegistry({ name: 'files', maxCount: 10, maxBytes: 1_000, timeoutMs: 60_000 });
const say = (line: string) => void process.stdout.write(`${line}\n`);
for (const name of ['a', 'b']) {
  registry.register({
    name,
    bytes: 1,
    priority: name === 'b' ? 'high' : 'low',
    dispose: () => (how === 'hangs' ? new Promise(() => {}) : void say(`closed ${name}`)),
  });
}
onShutdown([registry, () => say('flushed')], {
  deadlineMs: how === 'impatient' ? 60_000 : 1_000,
  onEnd: ({ reason, complete, steps }) => say(`${reason} ${complete} ${steps.map(({ outcome }) => outcome).join()}`),
}).add(() => (how === 'impatient' ? new Promise(() => {}) : undefined));
// Keeps it alive.
setInterval(() => {}, 1_000);
say('ready');
