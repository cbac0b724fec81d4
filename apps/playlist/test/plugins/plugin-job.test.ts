import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor } from 'plimsoll';
import { expect, test } from 'vitest';
import { PluginJob } from '../../src/plugin-job.ts';

const MIB = 2 ** 20;
/** Makes ASCII letters large. Here it never runs. */
const MODULE = Buffer.from(
  'AGFzbQEAAAABEANgAn9/AX9gAAF/YAF/AX8CEQEIcGxpbXNvbGwEZW1pdAAAAwUEAQIAAAUDAQACB00FBm1lbW9yeQIADHBsaW1zb2xsX2FiaQABDnBsaW1zb2xsX2FsbG9jAAINcGxpbXNvbGxfaW5pdAADEHBsaW1zb2xsX3Byb2Nlc3MABApWBAQAQQELBQBBgAgLBABBAAtEAQJ/IAAhAgJAA0AgAiAAIAFqTw0BIAItAAAhAyADQeEAa0EaSQRAIAIgA0EgazoAAAsgAkEBaiECDAALCyAAIAEQAAs=',
  'base64',
);

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
      config: {
        enabled: true,
        dir,
        maxPluginBytes: 32 * MIB,
        maxTotalBytes: 64 * MIB,
        timeoutMs: 5_000,
        maxFailures: 3,
        selection: 'memory-efficient',
        nativeFallback: true,
        isolation: 'worker',
      },
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
