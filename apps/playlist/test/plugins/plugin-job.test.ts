import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor } from 'plimsoll';
import { Pipeline, pluginStage } from 'plimsoll/pipeline';
import { expect, test } from 'vitest';
import { PluginJob } from '../../src/plugin-job.ts';

const MIB = 2 ** 20;
/** Makes ASCII letters large. Here it never runs. */
const MODULE = Buffer.from(
  'AGFzbQEAAAABEANgAn9/AX9gAAF/YAF/AX8CEQEIcGxpbXNvbGwEZW1pdAAAAwUEAQIAAAUDAQACB00FBm1lbW9yeQIADHBsaW1zb2xsX2FiaQABDnBsaW1zb2xsX2FsbG9jAAINcGxpbXNvbGxfaW5pdAADEHBsaW1zb2xsX3Byb2Nlc3MABApWBAQAQQELBQBBgAgLBABBAAtEAQJ/IAAhAgJAA0AgAiAAIAFqTw0BIAItAAAhAyADQeEAa0EaSQRAIAIgA0EgazoAAAsgAkEBaiECDAALCyAAIAEQAAs=',
  'base64',
);

const CONFIG = {
  enabled: true,
  maxPluginBytes: 32 * MIB,
  maxTotalBytes: 64 * MIB,
  timeoutMs: 5_000,
  maxFailures: 3,
  selection: 'memory-efficient',
  nativeFallback: true,
  isolation: 'worker',
} as const;

test('a plugin for no stage of this program is warned of by name', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'plugin-job-'));
  using governor = createGovernor({ limitBytes: 512 * MIB });
  const warnings: string[] = [];
  try {
    writeFileSync(join(dir, 'any.wasm'), MODULE);
    for (const [name, stages] of [
      ['misspelt', '"filter", "mapping"'],
      ['right', '"filtering", "mapping"'],
    ]) {
      const manifest = `name = "${name}"\nversion = "1.0.0"\nabi = 1\nwasm = "any.wasm"\nstages = [${stages}]\nmin_heap = "128KiB"\nmax_heap = "1MiB"\n`;
      writeFileSync(join(dir, `${name}.toml`), `${manifest}supports_streaming = true\nsupports_compression = false\n`);
    }
    await using job = await PluginJob.open({
      config: { ...CONFIG, dir },
      governor,
      spill: undefined,
      maxSpillBytes: 0,
      warn: (line) => warnings.push(line),
    });
    expect(job.workersFor('filtering')!.plugins).toHaveLength(1);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  expect(warnings).toEqual([
    '[plugins] misspelt: is not used: it is for filter, mapping, stages are data_mapping, filtering, grouping, numbering',
  ]);
});

test('an answer that the stage refuses is a failure of the plugin, and no batch that it did', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'plugin-job-'));
  using governor = createGovernor({ limitBytes: 512 * MIB });
  try {
    writeFileSync(join(dir, 'any.wasm'), MODULE);
    const manifest = 'name = "loud"\nversion = "1.0.0"\nabi = 1\nwasm = "any.wasm"\nstages = ["filtering"]\n';
    writeFileSync(
      join(dir, 'loud.toml'),
      `${manifest}min_heap = "128KiB"\nmax_heap = "1MiB"\nsupports_streaming = true\n`,
    );
    await using job = await PluginJob.open({
      config: { ...CONFIG, dir },
      governor,
      spill: undefined,
      maxSpillBytes: 0,
      warn: () => {},
    });
    let refusals = 2;
    const stage = pluginStage<{ readonly byteLength: number; readonly itemCount: number }>({
      ...job.workersFor('filtering')!,
      name: 'Filtering',
      encode: () => Buffer.from('abc'),
      apply: (_, output) => {
        if (refusals-- > 0) throw new Error(`${output.byteLength} bytes that nobody wanted`);
      },
      native: () => {},
    });
    const pipeline = new Pipeline({ governor, probe: governor });
    await pipeline
      .from({
        name: 'Loading',
        memory: { kind: 'external', maxBytes: MIB },
        async *open({ memory }) {
          using _held = memory.reserve(3);
          for (let batch = 0; batch < 5; batch++) yield { byteLength: 3, itemCount: 1 };
        },
      })
      .through(stage)
      .into({ name: 'Dropping', drain: async (input) => void (await Array.fromAsync(input)) });
    expect(job.tallies).toEqual([{ stage: 'filtering', name: 'loud', batches: 3, failures: 2 }]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
