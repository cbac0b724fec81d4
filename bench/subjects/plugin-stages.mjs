// STAGE WAY BATCH_BYTES LIST: one stage of the playlist over the channels of a list, natively or by a plugin. Everything is ready before the clock starts: the batches are read, the plugin runs and
// has done three rounds. Prints elapsedMs and cpuMs of the measured rounds, both of this process with its workers, and a digest of what came out, which all ways must share.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createGovernor } from 'plimsoll';
import { Pipeline, RecordBatch, sortRecords } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { loadPlugins, PluginHost } from 'plimsoll/wasm';
import { Column, EntryBatch, Field, Flag, ROW } from '../../apps/playlist/dist/channels/entry-batch.js';
import { M3uScanner } from '../../apps/playlist/dist/m3u/scan.js';
import { applyChannels } from '../../apps/playlist/dist/plugins/apply-channels.js';
import { channelRecordsBytes, encodeChannels } from '../../apps/playlist/dist/plugins/channel-records.js';
import { compileFilterProgram } from '../../apps/playlist/dist/plugins/filter-program.js';
import { groupingKey, keyedRecordBytes, writeKeyedHead } from '../../apps/playlist/dist/plugins/keyed-record.js';
import { TIDIED_FIELDS, tidyChannels } from '../../apps/playlist/dist/plugins/tidy-channels.js';
import { NameTidier } from '../../apps/playlist/dist/plugins/tidy-name.js';
import { compileRuleSet } from '../../apps/playlist/dist/rules/rule-set.js';
import { filterChannels } from '../../apps/playlist/dist/stages/filter-channels.js';

const MIB = 2 ** 20;
const [stage, way, size, list] = process.argv.slice(2);
const batchBytes = Number(size);
const ROUNDS = { 'filtering, 2': 16, 'filtering, 8': 10, mapping: 6, grouping: 1 }[stage];
const SAMPLE = [
  ['exclude', 'group_title contains "xxx"'],
  ['include', 'stream_url starts_with "http"'],
];
const FILTERS = [
  ...SAMPLE,
  ['exclude', 'channel_name contains "shop" OR channel_name contains "test" OR channel_name ends_with "(backup)"'],
  ['exclude', 'group_title equals "radio" AND NOT channel_name contains "news"'],
  ['exclude', 'tvg_chno > 900000'],
].map(([mode, expression], i) => ({ label: `filter ${i + 1}`, mode, expression }));

const batches = readBatches();
const pristine = batches.map(({ table }) => table.slice());
const governor = createGovernor({ limitBytes: 4096 * MIB });
const native = way.startsWith('native');
const spillHome =
  way === 'group-spill' || way === 'native, spilled'
    ? mkdtempSync(join(import.meta.dirname, '..', '.tmp', 'spill-'))
    : undefined;
const spill = spillHome && (await SpillFolder.open(spillHome, { maxBytes: 2048 * MIB, allowMemoryBacked: true }));
const host = native ? undefined : await openHost();
const plugin = host?.plugin;

const run = stage === 'grouping' ? await makeGrouping() : makeStage();
const digest = createHash('sha256');
if (stage !== 'grouping') for (let round = 0; round < 3; round++) await run(round === 0 ? digest : undefined);
const cpu = process.cpuUsage();
const started = performance.now();
for (let round = 0; round < ROUNDS; round++) await run(stage === 'grouping' ? digest : undefined);
const elapsedMs = performance.now() - started;
const { user, system } = process.cpuUsage(cpu);
const channels = batches.reduce((sum, { count }) => sum + count, 0) * ROUNDS;
console.log(
  JSON.stringify({
    elapsedMs,
    cpuMs: (user + system) / 1000,
    channels,
    digest: digest.digest('hex').slice(0, 16),
  }),
);
await host?.host[Symbol.asyncDispose]();
await spill?.[Symbol.asyncDispose]();
if (spillHome) rmSync(spillHome, { recursive: true });
governor[Symbol.dispose]();

function readBatches() {
  const text = readFileSync(list);
  const scanner = new M3uScanner();
  const read = [];
  for (let at = 0; at < text.length; ) {
    const batch = new EntryBatch(Math.floor(batchBytes * 1.5), Math.ceil(batchBytes / 100));
    const length = text.copy(batch.bytes, 0, at, at + batchBytes);
    const consumed = scanner.scan(batch, length, at + length === text.length);
    if (consumed === 0) break;
    if (batch.count > 0) read.push(batch);
    at += consumed;
  }
  return read;
}

async function openHost() {
  const { plugins } = await loadPlugins(join(import.meta.dirname, '..', '..', 'plugins', 'dist'));
  const found = plugins.find(({ manifest }) => manifest.name === way);
  if (found === undefined) throw new Error(`${way} is not built`);
  const options = {
    maxPluginBytes: 64 * MIB,
    maxTotalBytes: 64 * MIB,
    maxOutputBytes: 8 * MIB,
    warmInstances: 0,
    governor,
  };
  return { plugin: found, host: new PluginHost({ ...options, ...(spill && { spill, maxSpillBytes: 1024 * MIB }) }) };
}

/** The batch as it was read: what a stage changed is undone, outside of what it does but inside of the measured time, for all ways alike. */
function restore(index) {
  const batch = batches[index];
  batch.table.set(pristine[index]);
  batch.live = batch.count;
  batch.used = batchBytes;
  return batch;
}

function makeRoom(batch, bytes) {
  const larger = Buffer.allocUnsafeSlow(Math.max(batch.used + bytes, Math.ceil(batch.bytes.length * 1.5)));
  batch.bytes.copy(larger, 0, 0, batch.used);
  batch.bytes = larger;
}

function makeStage() {
  const work = stage === 'mapping' ? mapping() : filtering(stage === 'filtering, 2' ? FILTERS.slice(0, 2) : FILTERS);
  return async (digest) => {
    for (let index = 0; index < batches.length; index++) {
      const batch = restore(index);
      await work(batch);
      if (digest) note(digest, batch);
    }
  };
}

function filtering(filters) {
  if (native) {
    const { filters: tallies } = compileRuleSet([], filters);
    const input = {
      waiting: undefined,
      async *[Symbol.asyncIterator]() {
        for (;;) yield this.waiting;
      },
    };
    const output = filterChannels(tallies).run(input, undefined);
    return async (batch) => {
      input.waiting = batch;
      await output.next();
    };
  }
  const { bytes, fields, filterCount } = compileFilterProgram(filters);
  return byPlugin('filtering', fields, bytes, (batch, answer) => applyChannels(batch, answer, { fields, filterCount }));
}

function mapping() {
  const tidier = new NameTidier();
  if (native) return async (batch) => tidyChannels(batch, tidier, makeRoom);
  const fields = TIDIED_FIELDS;
  return byPlugin('data_mapping', fields, undefined, (batch, answer) =>
    applyChannels(batch, answer, { fields, mayChange: true, makeRoom }),
  );
}

function byPlugin(name, fields, config, apply) {
  let buffer = Buffer.alloc(0);
  const opened = host.host.open(plugin, { stage: name, ...(config && { config }) });
  return async (batch) => {
    const instance = await opened;
    const bytes = channelRecordsBytes(batch, fields);
    if (bytes > buffer.length) buffer = Buffer.allocUnsafeSlow(bytes);
    apply(batch, await instance.process(encodeChannels(batch, buffer, fields)));
  };
}

function note(digest, batch) {
  for (let row = 0; row < batch.count; row++) {
    const base = row * ROW;
    if ((batch.table[base + Column.flags] & Flag.dropped) !== 0) continue;
    for (const field of [Field.name, Field.group, Field.url]) {
      const start = batch.table[base + 2 * field];
      if (start >= 0) digest.update(batch.bytes.subarray(start, batch.table[base + 2 * field + 1]));
    }
  }
}

/** Every channel as a record of about 150 bytes: id, group, then its text. */
async function makeGrouping() {
  const wires = [];
  let id = 0;
  for (const batch of batches) {
    const records = [];
    for (let row = 0; row < batch.count; row++) {
      const base = row * ROW;
      const from = batch.table[base + 2 * Field.group];
      const key = from < 0 ? Buffer.alloc(0) : batch.bytes.subarray(from, batch.table[base + 2 * Field.group + 1]);
      const rest = batch.bytes.subarray(batch.table[base + Column.attrsStart], batch.table[base + 2 * Field.url + 1]);
      const record = Buffer.allocUnsafe(4 + keyedRecordBytes(key.length, rest.length));
      record.writeUInt32LE(record.length - 4);
      const at = writeKeyedHead(record, 4, id++, key.length);
      key.copy(record, at);
      rest.copy(record, at + key.length);
      records.push(record);
    }
    wires.push(Buffer.concat(records));
  }
  return native ? groupNatively(wires) : groupByPlugin(wires);
}

function groupNatively(wires) {
  const into = new RecordBatch(2 * batchBytes, batchBytes >> 4);
  return async (digest) => {
    const source = {
      name: 'Source',
      memory: { kind: 'external', maxBytes: MIB * 64 },
      async *open() {
        for (const wire of wires) {
          into.clear();
          for (let at = 0; at < wire.length; ) {
            const end = at + 4 + wire.readUInt32LE(at);
            if (!into.tryPush(wire, at + 4, end)) throw new Error('a batch that is too small');
            at = end;
          }
          yield into;
        }
      },
    };
    const sink = {
      name: 'Sink',
      async drain(input) {
        let out = Buffer.alloc(0);
        for await (const batch of input) {
          if (batch.wireBytes > out.length) out = Buffer.allocUnsafeSlow(batch.wireBytes);
          digest.update(out.subarray(0, batch.writeWire(out)));
        }
      },
    };
    const maxBytes = way === 'native, spilled' ? 12 * MIB : 1024 * MIB;
    const sort = sortRecords({
      name: 'Grouping',
      key: groupingKey,
      memory: { maxBytes },
      batchBytes,
      ...(spill && { spill }),
    });
    const pipeline = new Pipeline({ governor, probe: { sample: () => governor.sample() } });
    await pipeline.from(source).through(sort).into(sink);
  };
}

function groupByPlugin(wires) {
  return async (digest) => {
    await using instance = await host.host.open(plugin, { stage: 'grouping' });
    for (const wire of wires) await instance.process(wire);
    for (;;) {
      const piece = await instance.process(new Uint8Array(0));
      if (piece.byteLength === 0) break;
      digest.update(piece);
    }
    digest.update(await instance.finalize());
  };
}
