import { createGovernor, type Governor, ManualClock, type Meter } from 'plimsoll';

/**
 * Runs `program` again and again: the first time its first request for bytes is refused, then its second, and so on, until it runs through
 * without reaching the one that would be. `check` looks at the wreck each time. Every room that reserves is run through this.
 *
 * The refusal is a real one: the limit of a governor falls to what is held at that moment and rises again right after.
 */
export async function refuseNth(options: {
  readonly limitBytes: number;
  /** What uses memory. Whatever it throws is handed to `check`. */
  readonly program: (governor: Governor) => Promise<void> | void;
  readonly check: (outcome: { readonly governor: Governor; readonly error: unknown; readonly nth: number }) => void;
  /** More requests than this and the program is taken to have no end. Default 10,000. */
  readonly most?: number;
}): Promise<number> {
  const most = options.most ?? 10_000;
  for (let nth = 1; nth <= most; nth++) {
    let requests = 0;
    // With a sample before every byte granted, the meter is where each request passes.
    const gate: Meter = {
      name: 'ledger',
      limitBytes: 2 ** 50,
      read() {
        if (governor === undefined) return 0;
        requests++;
        if (requests === nth) governor.tune({ limitBytes: Math.max(1, governor.heldBytes) });
        if (requests === nth + 1) governor.tune({ limitBytes: options.limitBytes });
        return 0;
      },
    };
    let governor: Governor | undefined;
    governor = createGovernor({
      limitBytes: options.limitBytes,
      runtimeBytes: 0,
      clock: new ManualClock(),
      meters: [gate],
      mode: 'on',
      root: '/nowhere',
      sampleEveryBytes: 1,
    });
    let error: unknown;
    try {
      await options.program(governor);
    } catch (cause) {
      error = cause;
    }
    options.check({ governor, error, nth });
    governor[Symbol.dispose]();
    if (requests < nth) return nth - 1;
  }
  throw new Error(`the program still asks for bytes after ${most} requests`);
}

/** What every program keeps to that is refused somewhere: it said so with the code, and holds nothing any more. */
export function leavesNothing({ governor, error }: { readonly governor: Governor; readonly error: unknown }): void {
  const code = (error as { code?: string } | undefined)?.code;
  if (error !== undefined && code !== 'PLIMSOLL_BUDGET_EXCEEDED') throw error;
  if (governor.heldBytes !== 0) throw new Error(`${governor.heldBytes} bytes are still held after ${String(error)}`);
}
