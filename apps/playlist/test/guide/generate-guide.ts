import { tmpdir } from 'node:os';
import type { GuideDamage } from '../../src/guide/guide-damage.ts';
import type { GuideInput } from '../../src/guide/guide-input.ts';
import { indexGuides } from '../../src/guide/index-guides.ts';
import type { WantedChannels, WantedOptions } from '../../src/guide/wanted.ts';
import { WantedChannels as Wanted } from '../../src/guide/wanted.ts';
import { type GuideStats, type WriteGuideOptions, writeGuide } from '../../src/guide/write-guide.ts';
import { countingConsumer } from './counting-consumer.ts';
import { memorySource } from './memory-source.ts';
import { type PlaylistChannel, wantAll } from './wanted-fixture.ts';

export interface Generated {
  readonly text: string;
  /** Without the head and the foot. */
  readonly body: string;
  readonly guides: readonly GuideStats[];
  readonly channels: number;
  readonly programmes: number;
  readonly damage: readonly GuideDamage[];
  /** Index passes that were needed. */
  readonly passes: number;
  readonly heldBytes: number;
  readonly wanted: WantedChannels;
}

export interface GenerateOptions extends Partial<WriteGuideOptions> {
  readonly matching?: WantedOptions;
  readonly pieces?: readonly number[];
  readonly inputs?: readonly GuideInput[];
  readonly full?: boolean;
}

export const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<tv generator-info-name="plimsoll">';
export const FOOT = '\n</tv>\n';

/** The whole way from guides in memory to the written one, as the app goes it. */
export async function generateGuide(
  playlist: readonly PlaylistChannel[],
  guides: readonly (string | Buffer)[],
  options: GenerateOptions = {},
): Promise<Generated> {
  const { wanted, records } = wantAll(playlist, options.matching);
  const consumer = countingConsumer();
  const inputs =
    options.inputs ??
    guides.map((guide, number) => ({
      label: `guide${number + 1}.xml`,
      open: async () => memorySource(Buffer.from(guide as string), options.pieces),
    }));
  for (let passes = 1; ; passes++) {
    const index = await indexGuides(inputs, wanted, consumer, {
      ...options,
      full: passes > 1 || (options.full ?? false),
    });
    playlist.forEach((_, number) => {
      wanted.resolve(records, number * Wanted.RECORD_BYTES);
    });
    const parts: Buffer[] = [];
    const sink = {
      write: (buffer: Buffer, start: number, end: number) => void parts.push(Buffer.from(buffer.subarray(start, end))),
    };
    const result = await writeGuide({ sink, tempDir: tmpdir(), ...options, guides: inputs, wanted, index, consumer });
    if (result.needsFullIndex) {
      if (passes > 1) throw new Error('asked for a full index twice');
      continue;
    }
    const bytes = Buffer.concat(parts);
    const text = bytes.toString('utf8');
    if (result.bytesOut !== bytes.length) throw new Error('bytesOut is not what was written');
    const { channels, programmes, guides: stats } = result;
    return {
      text,
      body: text.slice(HEAD.length, text.length - FOOT.length),
      guides: stats,
      channels,
      programmes,
      damage: stats.flatMap((guide) => guide.damage),
      passes,
      heldBytes: consumer.heldBytes,
      wanted,
    };
  }
}
