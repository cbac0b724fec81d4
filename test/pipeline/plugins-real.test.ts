/** The stages over plugins that are really run, in workers of their own. */
import { Pipeline, pluginRecordStage, pluginStage, type RecordBatch, sameRecords } from 'plimsoll/pipeline';
import { PluginHost } from 'plimsoll/wasm';
import { expect, it } from 'vitest';
import { CAP_BYTES } from '../wasm/hostile-modules.ts';
import { plugin } from '../wasm/plugin-set-up.ts';
import type { GuestParts } from '../wasm/wat.ts';
import { FakeMachine } from './fake-machine.ts';
import { fromWire, recordSource, textSink, wholeStage } from './records.ts';

const TEXTS = Array.from({ length: 80 }, (_, i) => `record ${i}`);

/** Puts each batch out as it is, but for the fifth, at which it does `what`. */
const atTheFifth = (what: string): GuestParts => ({
  fields: '(global $calls (mut i32) (i32.const 0))',
  process: `(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (global.get $calls) (i32.const 5)) (then ${what}))
    (call $emit (local.get $ptr) (local.get $len))`,
});

const GUESTS: readonly (readonly [string, GuestParts, boolean])[] = [
  ['sound', {}, false],
  ['trapping', atTheFifth('(unreachable)'), true],
  ['spinning', atTheFifth('(loop $l (br $l))'), true],
  ['cutting off', atTheFifth('(return (call $emit (local.get $ptr) (i32.const 7)))'), true],
  ['refusing', { init: '(i32.const 1)' }, true],
];

const openHost = () =>
  new PluginHost({ maxPluginBytes: 2 * CAP_BYTES, maxTotalBytes: 4 * CAP_BYTES, timeoutMs: 150, warmInstances: 0 });

it.each(GUESTS)('a %s plugin in a stage of its own batches loses and doubles nothing', async (_, parts, isBroken) => {
  await using host = openHost();
  const machine = new FakeMachine();
  const pipeline = new Pipeline({ governor: machine, probe: machine });
  let natives = 0;
  const stage = pluginStage<RecordBatch>({
    name: 'Filtering',
    stage: 'filtering',
    host,
    plugins: [await plugin(parts)],
    encode(batch) {
      const wire = Buffer.alloc(batch.wireBytes);
      batch.writeWire(wire);
      return wire;
    },
    apply(batch, output) {
      if (output.byteLength !== batch.wireBytes) throw new Error('another length');
      const texts = fromWire(output);
      batch.clear();
      for (const text of texts) batch.tryPush(Buffer.from(text.toUpperCase()));
    },
    native(batch) {
      natives++;
      const texts = Array.from({ length: batch.count }, (_, i) => `${batch.record(i)}`);
      batch.clear();
      for (const text of texts) batch.tryPush(Buffer.from(text.toUpperCase()));
    },
  });
  const out = await pipeline.from(recordSource(TEXTS, 8)).through(stage).into(textSink());
  expect(out).toEqual(TEXTS.map((text) => text.toUpperCase()));
  expect(natives > 0).toBe(isBroken);
  expect(natives).toBeLessThan(TEXTS.length / 8 + 1);
  expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0 });
});

it.each(GUESTS)(
  'a %s plugin in a stage as a whole hands on nothing of what it did not finish',
  async (_, parts, isBroken) => {
    await using host = openHost();
    const machine = new FakeMachine();
    const pipeline = new Pipeline({ governor: machine, probe: machine });
    let natives = 0;
    const stage = pluginRecordStage({
      name: 'Grouping',
      stage: 'filtering',
      host,
      plugins: [await plugin(parts)],
      native: wholeStage(
        'Native',
        (texts) => [...texts],
        () => natives++,
      ),
      memory: { maxBytes: 16 * 2 ** 20 },
      maxFailures: 2,
      check: sameRecords,
    });
    const out = await pipeline.from(recordSource(TEXTS, 8)).through(stage).into(textSink());
    expect(out).toEqual(TEXTS);
    expect(natives).toBe(isBroken ? 1 : 0);
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0 });
    expect(machine.heldBytes).toBe(0);
  },
);
