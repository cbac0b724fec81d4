/**
 * What the loads share: the command line, the governor, what every one of them holds from the start to the end, and the report that it prints.
 * A load is one program that is asked for the same work with the governor (`--governed`) and without. Plain JavaScript on the built package: this
 * is what is judged.
 */
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';

export const MIB = 1_048_576;
const KIB = 1024;
const WASM_PAGE = 65_536;

/**
 * What Node holds. A control group is charged 13 MiB for it at its start, and the code and data of a running program come to that; its RSS of 50 MiB,
 * the governor's default, is for the greater part pages of files.
 */
const RUNTIME_BYTES = 24 * MIB;

/** Shares of what the runtime leaves that each load holds all the time, one of each kind. */
const EXTERNAL_SHARE = 0.08;
const WASM_SHARE = 0.06;
const HEAP_SHARE = 0.08;

/** Of an object: map, properties, elements and four fields of 8 bytes; and its slot in the array. */
const RECORD_BYTES = 7 * 8 + 8;

/** A turn of the event loop, as every real read or write takes one. */
export const turn = () => setImmediate();

/** Runs the load: `work` gets what it needs and resolves to what was asked for and what was done. Prints one line of JSON. */
export async function runLoad(work, governorOptions = {}) {
  const { values } = parseArgs({
    options: {
      'limit-mib': { type: 'string' },
      'native-mib': { type: 'string' },
      governed: { type: 'boolean' },
      folder: { type: 'string' },
    },
  });
  const limitBytes = Number(values['limit-mib']) * MIB;
  const governor = values.governed ? await openGovernor(governorOptions, values.folder) : undefined;
  const roomBytes = limitBytes - RUNTIME_BYTES;
  const standing = hold(roomBytes, governor);
  const nativeBytes = Number(values['native-mib']) * MIB;
  const startedAt = performance.now();
  const { keep, ...result } = await work({ limitBytes, nativeBytes, roomBytes, standing, governor });
  const elapsedMs = Math.round(performance.now() - startedAt);
  const said = await lastWords(governor);
  // Nothing of what is held is collected before.
  const held = standing.keep().length + (keep?.().length ?? 0);
  console.log(JSON.stringify({ ...result, elapsedMs, ...said, held }));
}

async function openGovernor(options, folder) {
  const { createGovernor } = await import('plimsoll');
  const all = { runtimeBytes: RUNTIME_BYTES, ...(typeof options === 'function' ? options(folder) : options) };
  return createGovernor(all);
}

/** Memory of each kind that is held to the end, reserved as what it is by design. */
function hold(roomBytes, governor) {
  const reserve = (name, kind, bytes) => governor?.consumer({ name, kind, maxBytes: bytes }).reserve(bytes);
  const blocks = Math.round((roomBytes * EXTERNAL_SHARE) / (256 * KIB));
  const reservations = [reserve('standing buffers', 'external', blocks * 256 * KIB)];
  const buffers = Array.from({ length: blocks }, () => Buffer.alloc(256 * KIB, 1));
  const pages = Math.round((roomBytes * WASM_SHARE) / WASM_PAGE);
  reservations.push(reserve('standing wasm', 'wasm', pages * WASM_PAGE));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  new Uint8Array(memory.buffer).fill(1);
  const count = Math.round((roomBytes * HEAP_SHARE) / RECORD_BYTES);
  reservations.push(reserve('standing records', 'heap', count * RECORD_BYTES));
  const records = new Array(count);
  for (let i = 0; i < count; i++) records[i] = { id: i, rank: i % 7, seen: 0, next: null };
  return {
    heapBytes: count * RECORD_BYTES,
    nativeBytes: blocks * 256 * KIB + pages * WASM_PAGE,
    keep: () => [reservations, buffers, memory, records],
  };
}

/** Has the governor give back all it can, and says how far the books are from what is measured. */
async function lastWords(governor) {
  if (governor === undefined) return {};
  const report = await governor.reclaim({ strategy: 'aggressive' });
  governor.sample();
  const { drift, level, samples, collections, refusals, faults, warnings, trains, meters } = governor.snapshot();
  return { drift, level, samples, collections, refusals, faults, warnings, trains, meters, report };
}
