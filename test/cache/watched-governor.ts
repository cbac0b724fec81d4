import type { ConsumerOptions, Governor, PressureLevel } from 'plimsoll';

const known = new WeakMap<Governor, Map<string, ConsumerOptions>>();

/** A governor that remembers what its consumers were opened with. */
export function watched(governor: Governor): Governor {
  const opened = new Map<string, ConsumerOptions>();
  known.set(governor, opened);
  const consumer = governor.consumer.bind(governor);
  governor.consumer = (options) => {
    opened.set(options.name, options);
    return consumer(options);
  };
  return governor;
}

/** The reclaimer of one of its consumers. */
export const reclaimerOf = (governor: Governor, consumer: string) => known.get(governor)!.get(consumer)!.reclaimer!;

/** What the governor does when somebody needs room: asks for so many bytes at a level. */
export async function press(
  governor: Governor,
  consumer: string,
  targetBytes: number,
  level: PressureLevel,
): Promise<void> {
  const reclaimer = reclaimerOf(governor, consumer);
  const request = { targetBytes, level, strategy: 'aggressive' } as const;
  if (reclaimer.reclaimNow !== undefined) reclaimer.reclaimNow(request);
  else await reclaimer.reclaim!(request, { signal: new AbortController().signal, scratch: new Uint8Array(65_536) });
}
