/** Opens a spill folder in the given one, puts something there, says where it is, and lives until it is killed. */
import { SpillFolder } from 'plimsoll/spill';

const folder = await SpillFolder.open(process.argv[2]!, { maxBytes: 1_048_576, allowMemoryBacked: true });
await folder.put(Buffer.from('left behind'));
console.log(folder.dir);
setInterval(() => {}, 1_000);
