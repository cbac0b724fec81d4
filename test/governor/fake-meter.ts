import { createGovernor, type GovernorOptions, ManualClock, type Meter, type MeterName } from 'plimsoll';

export const MIB = 1_048_576;

/** A meter that reads what it is told. */
export class FakeMeter implements Meter {
  readonly name: MeterName;
  limitBytes = 100 * MIB;
  bytes = 0;
  reads = 0;
  broken: unknown;

  constructor(name: MeterName) {
    this.name = name;
  }

  read(): number {
    this.reads++;
    if (this.broken !== undefined) throw this.broken;
    return this.bytes;
  }
}

/** A governor of 100 MiB, nothing of it the runtime's, with a fake clock and two fake meters. */
export function setUp(options: GovernorOptions = {}) {
  const clock = new ManualClock(1_000_000);
  const rss = new FakeMeter('rss');
  const heap = new FakeMeter('heap');
  const base = {
    limitBytes: 100 * MIB,
    runtimeBytes: 0,
    clock,
    meters: [rss, heap],
    mode: 'on',
    root: '/nowhere',
  } as const;
  const governor = createGovernor({ ...base, ...options });
  return { clock, rss, heap, governor };
}
