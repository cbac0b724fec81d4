const MIB = 1_048_576;

/**
 * Defaults for one kind of use, plain values: what is given beside a preset wins, and the smallest of all limits holds whatever a preset says.
 *
 * - `edge`: one small process in 64 MiB. Looks often, keeps few waiting, gives up early what can be had again. Node alone takes about 45 MiB: start
 *   it with the heap flags that `deriveHeapFlags` gives for the limit.
 * - `balanced`: the defaults; the limit is the machine's or the container's.
 * - `high-volume`: many requests and consumers in 2 GiB. Looks less often per byte, lets more wait, allows a collection the time that
 *   a large heap needs.
 * - `development`: the journal also says what was passed over and why, and small programs are looked at as well.
 *
 * None of them has `dieFast`: that a process may be ended is for its owner to say.
 */
export const PRESETS = {
  edge: Object.freeze({
    limitBytes: 64 * MIB,
    sampleEveryBytes: MIB,
    strategy: 'aggressive',
    coolDownMs: 500,
    pauseBudgetMs: 50,
    maxWaiters: 64,
    maxConsumers: 256,
    maxScopes: 1_024,
    breaker: Object.freeze({ afterMs: 2_000, openMs: 1_000 }),
  }),
  balanced: Object.freeze({}),
  'high-volume': Object.freeze({
    limitBytes: 2_048 * MIB,
    sampleEveryBytes: 32 * MIB,
    strategy: 'smart',
    pauseBudgetMs: 500,
    maxWaiters: 8_192,
    maxConsumers: 16_384,
  }),
  development: Object.freeze({
    sampleEveryBytes: MIB,
    journal: 'detailed',
  }),
} as const;

/** The names of the presets. */
export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES: readonly PresetName[] = Object.freeze(Object.keys(PRESETS) as PresetName[]);
