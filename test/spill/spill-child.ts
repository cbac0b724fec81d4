/** Opens a spill folder in the given one, puts a record and two segments there, one of them not sealed, says where it is, and lives until it is killed. */
import { SpillFolder } from 'plimsoll/spill';

const folder = await SpillFolder.open(process.argv[2]!, { maxBytes: 1_048_576, allowMemoryBacked: true });
await folder.put(Buffer.from('left behind'));
const run = folder.openRun({ name: 'left behind', maxBytes: 524_288, bufferBytes: 4_096 });
const sealed = await run.create();
await sealed.write(Buffer.alloc(10_000));
await sealed.finish();
await (await run.create()).write(Buffer.alloc(10_000));
console.log(folder.dir);
setInterval(() => {}, 1_000);
