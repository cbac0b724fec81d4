// Runs one batch through a plugin, isolated as the first argument says, and tells what its process sees of the host.
import { existsSync, readFileSync } from 'node:fs';
import { definePlugin, PluginHost } from 'plimsoll/wasm';

const MODULE =
  'AGFzbQEAAAABEANgAn9/AX9gAAF/YAF/AX8CEQEIcGxpbXNvbGwEZW1pdAAAAwUEAQIAAAUDAQACB00FBm1lbW9yeQIADHBsaW1zb2xsX2FiaQABDnBsaW1zb2xsX2FsbG9jAAINcGxpbXNvbGxfaW5pdAADEHBsaW1zb2xsX3Byb2Nlc3MABApWBAQAQQELBQBBgAgLBABBAAtEAQJ/IAAhAgJAA0AgAiAAIAFqTw0BIAItAAAhAyADQeEAa0EaSQRAIAIgA0EgazoAAAsgAkEBaiECDAALCyAAIAEQAAs=';

await using host = new PluginHost({
  maxPluginBytes: 1_048_576,
  maxTotalBytes: 1_048_576,
  isolation: process.argv[2],
  warmInstances: 0,
});
const plugin = await definePlugin(
  { name: 'upper-case', stages: ['mapping'], maxHeapBytes: 1_048_576 },
  Buffer.from(MODULE, 'base64'),
);
const instance = await host.open(plugin, { stage: 'mapping' });
const output = Buffer.from(await instance.process(Buffer.from('hello'))).toString();
const list = `/proc/self/task/${process.pid}/children`;
const children = existsSync(list) ? readFileSync(list, 'utf8').trim().split(' ').filter(Boolean) : [];
const environments = children.map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean));
console.log(JSON.stringify({ output, environments }));
