import { createGovernor, type Governor, ManualClock } from 'plimsoll';
import { Dashboard, type DashboardOptions } from 'plimsoll/dashboard';
import { TOKEN } from './ask.ts';

const MiB = 2 ** 20;

/** Makes dashboards for tests; what it made, and what is put to it, ends when it is disposed. */
export class MadeDashboards implements AsyncDisposable {
  readonly #open: (AsyncDisposable | Disposable)[] = [];

  make(more: Partial<DashboardOptions> = {}, wrap: (governor: Governor) => Governor = (governor) => governor) {
    const clock = new ManualClock(1_000);
    const governor = createGovernor({
      limitBytes: 64 * MiB,
      runtimeBytes: MiB,
      clock,
      meters: [],
      terminationLog: false,
    });
    const dashboard = new Dashboard({ governor: wrap(governor), token: TOKEN, clock, ...more });
    this.push(governor, dashboard);
    return { clock, governor, dashboard };
  }

  push(...made: readonly (AsyncDisposable | Disposable)[]): void {
    this.#open.push(...made);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#open.splice(0).reverse()) {
      if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
      else each[Symbol.dispose]();
    }
  }
}
