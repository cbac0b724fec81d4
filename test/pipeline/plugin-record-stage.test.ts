import fc from 'fast-check';
import { PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import {
  PIPELINE_MODES,
  Pipeline,
  type PipelineOptions,
  type PluginRecordStageOptions,
  pluginRecordStage,
  type RecordBatch,
  type Stage,
  sameRecords,
} from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeStages } from '../contract/stage.ts';
import { tempParents } from '../spill/temp-parent.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakePluginHost, type FakePluginOptions, fakePlugin, type Mishap } from './fake-plugin-host.ts';
import { fromWire, recordSource, textSink, textsOf, toWire, wholeStage } from './records.ts';
import { switchesOf, weather } from './weather.ts';

const MIB = 2 ** 20;
const parent = tempParents();
const TEXTS = Array.from({ length: 60 }, (_, i) => `${(i * 37) % 60} of the records`);
const sorted = (texts: readonly string[]) => [...texts].sort();

/** Holds all, and gives it sorted at the end. */
function sorting() {
  const held: string[] = [];
  return {
    process(batch: Uint8Array) {
      held.push(...fromWire(batch));
      return new Uint8Array(0);
    },
    finalize: () => toWire(sorted(held)),
  };
}

/** Gives what ends with a 0 at once, and the rest at the end. */
const splitting = () => {
  const held: string[] = [];
  return {
    process(batch: Uint8Array) {
      const texts = fromWire(batch);
      held.push(...texts.filter((text) => !isFirst(text)));
      return toWire(texts.filter(isFirst));
    },
    finalize: () => toWire(held),
  };
};
const isFirst = (text: string) => text.startsWith('1');
const split = (texts: readonly string[]) => [...texts.filter(isFirst), ...texts.filter((text) => !isFirst(text))];

const fake = (name: string, more: Partial<FakePluginOptions> = {}) =>
  fakePlugin(name, { stage: 'grouping', behave: sorting, ...more });

function trial(spill?: SpillFolder) {
  const machine = new FakeMachine();
  const host = new FakePluginHost(machine);
  let natives = 0;
  return {
    machine,
    host,
    spill,
    natives: () => natives,
    stage: (more: Partial<PluginRecordStageOptions> = {}, work = sorted) =>
      pluginRecordStage({
        name: 'Grouping',
        stage: 'grouping',
        host,
        plugins: [],
        clock: machine,
        native: wholeStage('Grouping natively', work, () => natives++),
        memory: { maxBytes: 16 * MIB },
        ...more,
      }),
  };
}

type Trial = ReturnType<typeof trial>;

async function run(
  { machine, spill }: Trial,
  stage: Stage<RecordBatch, RecordBatch>,
  levels: readonly PressureLevel[] = ['optimal'],
  more: Partial<PipelineOptions> = {},
  texts = TEXTS,
) {
  const pipeline = new Pipeline({
    governor: machine,
    probe: machine,
    clock: machine,
    sampleEveryMs: 1,
    ...(spill && { spill }),
    ...more,
  });
  const out = await pipeline
    .from(recordSource(texts, 4))
    .through(weather<RecordBatch>(machine, levels))
    .through(stage)
    .into(textSink());
  return { out, report: pipeline.report() };
}

describe('a stage whose work a plugin does as a whole', () => {
  it.each([...PIPELINE_MODES, 'auto'] as const)(
    'hands on what the plugin made when it has finished, in the mode %s',
    async (mode) => {
      await using spill = await SpillFolder.open(parent(), { maxBytes: 16 * MIB, allowMemoryBacked: true });
      const t = trial(spill);
      const { out, report } = await run(t, t.stage({ plugins: [fake('sorter')], check: sameRecords }), ['optimal'], {
        mode,
      });
      expect(out).toEqual(sorted(TEXTS));
      expect(t.natives()).toBe(0);
      expect(t.host).toMatchObject({ calls: 16, finalized: 1, running: 0 });
      expect(switchesOf(report)).toEqual(['nobody → sorter: chosen']);
      expect(t.machine.heldBytes).toBe(0);
      expect(spill.stats.recordCount).toBe(0);
    },
  );

  it('also of one that gives a part at once', async () => {
    const t = trial();
    const { out } = await run(
      t,
      t.stage({ plugins: [fake('splitter', { behave: splitting })], batchBytes: 64 }, split),
    );
    expect(out).toEqual(split(TEXTS));
    expect(t.natives()).toBe(0);
  });

  it('also of one that gives its output in pieces, for empty batches, when all has come', async () => {
    const pieces = () => {
      const held: string[] = [];
      let rest: string[] | undefined;
      return {
        process(batch: Uint8Array) {
          const texts = fromWire(batch);
          held.push(...texts);
          if (texts.length > 0) return new Uint8Array(0);
          rest ??= sorted(held);
          return toWire(rest.splice(0, 25));
        },
      };
    };
    const t = trial();
    const { out } = await run(t, t.stage({ plugins: [fake('pieces', { behave: pieces })], check: sameRecords }));
    expect(out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.calls]).toEqual([0, 15 + 4]);
  });

  it('of one whose output never ends takes no more than it may keep', async () => {
    const t = trial();
    const behave = () => ({ process: () => toWire(Array(1_000).fill('more and more')) });
    const { out } = await run(t, t.stage({ plugins: [fake('endless', { behave })], memory: { maxBytes: 4 * MIB } }));
    expect(out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.running]).toEqual([1, 0]);
  });

  it('without a plugin is the native stage, and keeps nothing', async () => {
    const t = trial();
    const { out, report } = await run(t, t.stage());
    expect(out).toEqual(sorted(TEXTS));
    expect(t.natives()).toBe(1);
    expect(report.stages.find(({ name }) => name === 'Grouping')!.peakReservedBytes).toBeLessThan(1.1 * MIB);
  });

  it.each<[Mishap, number]>([
    ['open', 0],
    ['process', 1],
    ['process', 8],
    ['timeout', 15],
    ['output limit', 3],
    ['garbage', 5],
    ['garbage', 1],
    ['process', 16],
    ['finalize', 17],
  ])('that goes wrong (%s) at call %i hands nothing of it on: native does it all', async (mishap, at) => {
    const t = trial();
    const plugin = fake('splitter', { behave: splitting, mishap: (call) => (call >= at ? mishap : undefined) });
    const { out, report } = await run(t, t.stage({ plugins: [plugin] }, split));
    expect(out).toEqual(split(TEXTS));
    expect(t.natives()).toBe(1);
    expect(t.host.running).toBe(0);
    expect(t.machine.heldBytes).toBe(0);
    expect(switchesOf(report).at(-1)).toMatch(/→ native/);
  });

  it('that goes wrong once is tried again from the first record, or another one is', async () => {
    const t = trial();
    const once = fake('once', { mishap: (call) => (call === 9 ? 'process' : undefined) });
    expect((await run(t, t.stage({ plugins: [once] }))).out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.opened]).toEqual([0, ['once', 'once']]);
    const part = fake('part', { behave: splitting, mishap: (call) => (call === 9 ? 'process' : undefined) });
    expect((await run(t, t.stage({ plugins: [part] }, split))).out).toEqual(split(TEXTS));
    expect(t.natives()).toBe(0);
    const u = trial();
    const plugins = [fake('broken', { mishap: (call) => (call === 9 ? 'process' : undefined) }), fake('good')];
    expect((await run(u, u.stage({ plugins }))).out).toEqual(sorted(TEXTS));
    expect([u.natives(), u.host.opened]).toEqual([0, ['broken', 'good']]);
  });

  it.each([
    ['one record less', (texts: string[]) => texts.slice(1)],
    ['one record twice', (texts: string[]) => [...texts, texts[0]!]],
    ['one record changed', (texts: string[]) => ['another', ...texts.slice(1)]],
    ['two records run together', (texts: string[]) => [texts[0]! + texts[1]!, '', ...texts.slice(2)]],
  ])('that gives %s is found out by a check', async (_, spoil) => {
    const t = trial();
    const behave = () => {
      const honest = sorting();
      return { ...honest, finalize: () => toWire(spoil(fromWire(honest.finalize()))) };
    };
    const { out, report } = await run(t, t.stage({ plugins: [fake('liar', { behave })], check: sameRecords }));
    expect(out).toEqual(sorted(TEXTS));
    expect(t.natives()).toBe(1);
    expect(switchesOf(report).at(-1)).toMatch(/^liar → native: put out/);
  });

  it('gives records larger than a batch in one of their own, and takes none larger than the most', async () => {
    const t = trial();
    const joining = () => {
      const held: string[] = [];
      return {
        process(batch: Uint8Array) {
          held.push(...fromWire(batch));
          return new Uint8Array(0);
        },
        finalize: () => toWire([held.join(), 'the end']),
      };
    };
    const join = (texts: readonly string[]) => [texts.join(), 'the end'];
    const plugins = [fake('joiner', { behave: joining })];
    const batches: number[] = [];
    const noting: Stage<RecordBatch, RecordBatch> = {
      name: 'Noting',
      async *run(input) {
        for await (const batch of input) {
          batches.push(textsOf(batch).length);
          yield batch;
        }
      },
    };
    const stage = t.stage({ plugins, batchBytes: 256 }, join);
    const pipeline = new Pipeline({ governor: t.machine, probe: t.machine, clock: t.machine });
    const out = await pipeline.from(recordSource(TEXTS, 4)).through(stage).through(noting).into(textSink());
    expect([out, batches, t.natives()]).toEqual([join(TEXTS), [1, 1], 0]);
    expect((await run(t, t.stage({ plugins, maxBatchBytes: 300 }, join))).out).toEqual(join(TEXTS));
    expect(t.natives()).toBe(1);
  });

  it('what cannot be kept is no failure of the plugin: native takes what there is and the rest', async () => {
    const t = trial();
    const plugin = fake('sorter');
    const { out, report } = await run(t, t.stage({ plugins: [plugin], memory: { maxBytes: 4_000 } }));
    expect(out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.failures(plugin)]).toEqual([1, 0]);
    expect(switchesOf(report).at(-1)).toMatch(/^sorter → native: what it was given could not be kept/);
    const strict = t.stage({ plugins: [plugin], memory: { maxBytes: 4_000 }, nativeFallback: false });
    await expect(run(t, strict)).rejects.toThrow(/Grouping: /);
    expect(t.host.running).toBe(0);
  });

  it('keeps what it kept on the disk at emergency, and comes through a disk that is full', async () => {
    await using spill = await SpillFolder.open(parent(), { maxBytes: 65_536, allowMemoryBacked: true });
    const t = trial(spill);
    const { out } = await run(t, t.stage({ plugins: [fake('sorter')] }), ['optimal'], { mode: 'spill' });
    expect(out).toEqual(sorted(TEXTS));
    expect(spill.stats.puts).toBeGreaterThan(0);
    expect(spill.stats.recordCount).toBe(0);
  });

  it('gives the plugin up when pressure rises to where another would be chosen, twice at most, and at emergency for native', async () => {
    const plugins = [
      fake('small'),
      fake('stream', { maxHeapBytes: 2 ** 22, streams: true }),
      fake('compress', { maxHeapBytes: 2 ** 22, compresses: true }),
    ];
    const t = trial();
    const calm = ['optimal', 'high', 'critical', 'moderate', 'high', 'critical', 'high', 'critical'] as const;
    const { out, report } = await run(t, t.stage({ plugins }), calm);
    expect(out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.opened]).toEqual([0, ['small', 'stream', 'compress']]);
    expect(switchesOf(report)).toEqual([
      'nobody → small: chosen',
      'small → stream: pressure is high',
      'stream → compress: pressure is critical',
    ]);
    const u = trial();
    const storm = ['optimal', 'optimal', 'moderate', 'emergency'] as const;
    expect((await run(u, u.stage({ plugins }), storm)).out).toEqual(sorted(TEXTS));
    expect([u.natives(), u.host.running]).toEqual([1, 0]);
  });

  it('stays native when pressure falls after that, for nothing need be done again; the next run begins with the plugin', async () => {
    const t = trial();
    const stage = t.stage({ plugins: [fake('sorter')] });
    const falling = ['optimal', 'optimal', 'emergency', 'optimal'] as const;
    const { out, report } = await run(t, stage, [...falling, ...Array<PressureLevel>(20).fill('optimal')]);
    expect(out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.opened]).toEqual([1, ['sorter']]);
    expect(switchesOf(report)).toEqual(['nobody → sorter: chosen', 'sorter → native: pressure is emergency']);
    expect((await run(t, stage)).out).toEqual(sorted(TEXTS));
    expect([t.natives(), t.host.opened]).toEqual([1, ['sorter', 'sorter']]);
  });

  it('an abort and a failure further up end it, and are not the plugin’s', async () => {
    const t = trial();
    const abort = new AbortController();
    const plugin = fake('sorter', {
      mishap: (call) => {
        if (call === 5) abort.abort(new Error('enough'));
        return undefined;
      },
    });
    await expect(run(t, t.stage({ plugins: [plugin] }), ['optimal'], { signal: abort.signal })).rejects.toThrow(
      'enough',
    );
    expect([t.host.running, t.host.failures(plugin), t.natives(), t.machine.heldBytes]).toEqual([0, 0, 0, 0]);
    const source = recordSource(TEXTS, 4);
    const failing = {
      ...source,
      async *open(context: Parameters<typeof source.open>[0]) {
        let count = 0;
        for await (const batch of source.open(context)) {
          if (++count === 5) throw new Error('the list is cut off');
          yield batch;
        }
      },
    };
    const pipeline = new Pipeline({ governor: t.machine, probe: t.machine, clock: t.machine });
    const flow = pipeline.from(failing).through(t.stage({ plugins: [fake('sorter')] }));
    await expect(flow.into(textSink())).rejects.toThrow('Reading: the list is cut off');
    expect([t.host.running, t.natives(), t.machine.heldBytes]).toEqual([0, 0, 0]);
  });
});

describeStages('a stage whose plugin fails in the middle', {
  make() {
    const t = trial();
    const mishap = (call: number): Mishap | undefined => (call === 6 ? 'process' : undefined);
    const sink = textSink();
    return {
      source: recordSource(TEXTS, 4),
      stages: [t.stage({ plugins: [fake('sorter', { mishap })] })],
      sink: { ...sink, drain: async (...args: Parameters<typeof sink.drain>) => (await sink.drain(...args)).length },
    } as never;
  },
  mostReservations: 80,
});

describe('whatever happens', () => {
  let spill: SpillFolder;
  beforeAll(async () => {
    const { mkdtempSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    spill = await SpillFolder.open(mkdtempSync(`${process.env.PLIMSOLL_TEST_DISK ?? tmpdir()}/plugin-records-`), {
      maxBytes: 16 * MIB,
      allowMemoryBacked: true,
    });
  });
  afterAll(() => spill[Symbol.asyncDispose]());

  it('gives what the native stage gives, whatever fails, whenever, at whatever levels, in whatever memory', async () => {
    const mishap = fc.constantFrom<(Mishap | undefined)[]>(
      ...Array(40).fill(undefined),
      'open',
      'refused',
      'no room',
      'process',
      'timeout',
      'output limit',
      'garbage',
      'finalize',
    );
    const plugin = fc.record({
      mishaps: fc.array(mishap, { minLength: 1, maxLength: 20 }),
      streams: fc.boolean(),
      compresses: fc.boolean(),
      maxHeapBytes: fc.constantFrom(2 ** 20, 2 ** 22),
    });
    const property = fc.asyncProperty(
      fc.array(plugin, { maxLength: 3 }),
      fc.array(fc.constantFrom(...PRESSURE_LEVELS), { minLength: 1, maxLength: 12 }),
      fc.record({
        selection: fc.constantFrom('memory-efficient' as const, 'fastest' as const),
        maxFailures: fc.integer({ min: 1, max: 4 }),
        maxBytes: fc.constantFrom(2_000, 50_000, 1_000_000, 4_000_000),
        batchBytes: fc.constantFrom(64, 500, 65_536),
      }),
      fc.array(fc.string({ maxLength: 40, unit: 'grapheme-ascii' }), { maxLength: 60 }),
      fc.constantFrom('auto' as const, ...PIPELINE_MODES),
      fc.boolean(),
      fc.integer({ min: -1, max: 60 }),
      async (plugins, levels, { maxBytes, ...options }, texts, mode, hasDisk, refuseAt) => {
        const t = trial(hasDisk ? spill : undefined);
        t.machine.refuseAt = refuseAt;
        const fakes = plugins.map(({ mishaps, ...more }, i) =>
          fake(`plugin-${i}`, { ...more, behave: splitting, mishap: (call) => mishaps[call % mishaps.length] }),
        );
        const stage = t.stage({ ...options, plugins: fakes, memory: { maxBytes }, check: sameRecords }, split);
        const outcome = await run(t, stage, levels, { mode }, texts).catch((error: unknown) => error as Error);
        // A refusal of what the native stage, or a source, cannot do without ends the run as it would without plugins.
        if (outcome instanceof Error)
          expect([refuseAt >= 0, outcome.message]).toEqual([true, expect.stringMatching(/no room/)]);
        else expect(outcome.out).toEqual(split(texts));
        expect(t.host.running).toBe(0);
        expect(t.machine.heldBytes).toBe(0);
        expect(spill.stats.recordCount).toBe(0);
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });
});

it('unsound options are refused in one line', () => {
  const t = trial();
  const message = (more: object) => () => t.stage(more as never);
  expect(message({ memory: {} })).toThrow('Expected `memory.maxBytes` to be a whole number from 1 up');
  expect(message({ native: {} })).toThrow('Expected `native` to be a stage');
  expect(message({ check: 5 })).toThrow('Expected `check` to be a function, got `5` (number)');
  expect(message({ maxBatchBytes: 5 })).toThrow('Expected `maxBatchBytes` to be a whole number from 64 up');
  expect(message({ memry: 5 })).toThrow('Unknown option `memry` of pluginRecordStage: did you mean `memory`?');
});
