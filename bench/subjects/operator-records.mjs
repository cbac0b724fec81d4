// One operator over made-up records of about 200 bytes. Arguments: operator, number of records, memory in bytes, mode of the pipeline, parent of the spill folder.
// Prints one line of JSON. What comes out is summed up in its order, so that two runs can be compared.
import { crc32 } from 'node:zlib';
import { createGovernor } from 'plimsoll';
import { distinctRecords, groupRecords, joinRecords, Pipeline, RecordBatch, sortRecords } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';

const [operator, countText, maxText, mode, parent] = process.argv.slice(2);
const count = Number(countText);
const memory = { maxBytes: Number(maxText) };

const RECORD_BYTES = 200;
const NAME_BYTES = 24;
const DIGEST_AT = 40;
const DIGEST_BYTES = 12;
const COUNTRIES = ['US: Channel   ', 'UK: Channel   ', 'DE: Channel   ', 'FR HD Channel '].map((text) =>
  Buffer.from(text),
);

/** Names as of playlists, in no order; every tenth record is one that came before. */
function records(name, howMany, seed) {
  return {
    name,
    memory: { kind: 'external', maxBytes: 2 ** 20 },
    async *open({ memory }) {
      using _held = memory.reserve(RecordBatch.bytesFor(65_536, 512));
      const batch = new RecordBatch(65_536, 512);
      const record = Buffer.alloc(RECORD_BYTES, 'x');
      let random = seed;
      for (let i = 0; i < howMany; i++) {
        random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
        const id = i % 10 === 9 ? i >> 1 : i;
        const spread = Math.imul(id, 0x9e37_79b1) >>> 0;
        COUNTRIES[spread >>> 30].copy(record, 0);
        for (let at = 23, rest = spread; at > 13; at--, rest = Math.floor(rest / 10)) record[at] = 48 + (rest % 10);
        record.writeUInt32LE(spread, DIGEST_AT);
        record.writeUInt32LE(Math.imul(id, 0x85eb_ca6b) >>> 0, DIGEST_AT + 4);
        record.writeUInt32LE(id, DIGEST_AT + 8);
        record.writeUInt32LE(random, DIGEST_AT + 16);
        if (batch.tryPush(record)) continue;
        yield batch;
        batch.clear();
        batch.tryPush(record);
      }
      yield batch;
    },
  };
}

const byName = (batch, index, into) => into.fixed(batch.bytes, batch.start(index), batch.start(index) + NAME_BYTES);
const byDigest = (batch, index, into) => {
  const at = batch.start(index) + DIGEST_AT;
  into.fixed(batch.bytes, at, at + DIGEST_BYTES);
};

const stages = {
  sort: (options) => sortRecords({ ...options, key: byName }),
  distinct: (options) => distinctRecords({ ...options, key: byDigest, keyBytes: DIGEST_BYTES }),
  group: (options) =>
    groupRecords({
      ...options,
      key: byName,
      init: () => ({ count: 0, last: 0 }),
      step(state, { bytes, start }) {
        state.count++;
        state.last = bytes.readUInt32LE(start + DIGEST_AT + 8);
        return state;
      },
      finish(state, into) {
        into.uint32(state.last);
        into.uint32(state.count);
        into.end();
      },
    }),
  join: (options) =>
    joinRecords({
      ...options,
      key: byDigest,
      right: records('Right', Math.ceil(count / 2), 7),
      write(left, right, into) {
        into.bytes(left.bytes, left.start, left.end);
        into.bytes(right.bytes, right.start + DIGEST_AT, right.start + DIGEST_AT + 20);
        into.end();
      },
    }),
};

/** What one writes without operators: all records as objects. */
const arrays = {
  'array-sort': (all) => all.sort((a, b) => a.compare(b, 0, NAME_BYTES, 0, NAME_BYTES)),
  'set-distinct': (all) => {
    const seen = new Set();
    return all.filter((record) => {
      const key = record.latin1Slice(DIGEST_AT, DIGEST_AT + DIGEST_BYTES);
      return !seen.has(key) && seen.add(key);
    });
  },
};

/** A stage of that sort. */
function arrayStage(handle) {
  return {
    name: operator,
    memory: { kind: 'heap', maxBytes: 2 ** 20 },
    async *run(input, { memory }) {
      using _held = memory.reserve(RecordBatch.bytesFor(65_536, 512));
      const all = [];
      for await (const batch of input) for (let i = 0; i < batch.count; i++) all.push(Buffer.from(batch.record(i)));
      const out = new RecordBatch(65_536, 512);
      for (const record of handle(all)) {
        if (out.tryPush(record)) continue;
        yield out;
        out.clear();
        out.tryPush(record);
      }
      yield out;
    },
  };
}

const governor = createGovernor({ limitBytes: 2 ** 32, runtimeBytes: 0, meters: [], mode: 'on' });
const folder = await SpillFolder.open(parent, { maxBytes: 2 ** 35, allowMemoryBacked: true });
const pipeline = new Pipeline({ governor, probe: governor, spill: folder, mode });
let diskBytes = 0;
const out = { count: 0, sum: 0 };
const started = performance.now();
await pipeline
  .from(records('Making', count, 1))
  .through(arrays[operator] ? arrayStage(arrays[operator]) : stages[operator]({ name: operator, memory }))
  .into({
    name: 'Summing',
    async drain(input) {
      for await (const batch of input) {
        out.count += batch.count;
        out.sum = crc32(batch.bytes.subarray(0, batch.usedBytes), out.sum);
        diskBytes = Math.max(diskBytes, folder.stats.runBytes);
      }
    },
  });
const elapsedMs = performance.now() - started;
const row = pipeline.report().stages.find(({ name }) => name === operator);
await folder[Symbol.asyncDispose]();
console.log(
  JSON.stringify({ elapsedMs, ...out, diskBytes, operatorMs: row.elapsedMs, reservedBytes: row.peakReservedBytes }),
);
