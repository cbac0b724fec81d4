import type { PressureLevel } from 'plimsoll';
import type { Batch, PipelineReport, Stage } from 'plimsoll/pipeline';
import type { FakeMachine } from './fake-machine.ts';

/** Before each batch the next level comes, over and over, and a millisecond goes by, so that it is seen. */
export function weather<B extends Batch>(machine: FakeMachine, levels: readonly PressureLevel[]): Stage<B, B> {
  let at = 0;
  return {
    name: 'Weather',
    async *run(input, context) {
      for await (const batch of input) {
        machine.level = levels[at++ % levels.length]!;
        machine.nowMs += 1;
        context.advance({});
        yield batch;
      }
    },
  };
}

/** Who was at work, as a line for each change. */
export const switchesOf = ({ workerSwitches }: PipelineReport): string[] =>
  workerSwitches.map(({ from, to, why }) => `${from} → ${to}: ${why}`);
