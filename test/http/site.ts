import type { Governor } from 'plimsoll';
import type { ShedPolicyOptions } from 'plimsoll/http';
import { MIB, setUp } from '../governor/fake-meter.ts';

/** What the handlers of each framework do: the same everywhere. */
export class Site {
  readonly governor: Governor;
  /** Calls by handler. */
  readonly calls: string[] = [];
  #open: Disposable[] = [];
  #released = Promise.withResolvers<void>();

  constructor(governor: Governor) {
    this.governor = governor;
  }

  /** Reserves and waits to be let go: what a slow handler does. */
  async hold(): Promise<string> {
    this.calls.push('hold');
    const room = this.governor.consumer({ name: 'rows', kind: 'external', maxBytes: 50 * MIB });
    const held = room.tryReserve(MIB);
    this.#open.push(room);
    await this.#released.promise;
    held?.[Symbol.dispose]();
    this.calls.push('let go');
    return 'held';
  }

  /** Reserves after a body has been read: what is held counts in the scope, wherever the framework read it. */
  count(body: { readonly rows?: number }): { readonly rows: number; readonly scopeBytes: number } {
    this.calls.push('count');
    using room = this.governor.consumer({ name: 'rows', kind: 'external', maxBytes: 50 * MIB });
    room.tryReserve(MIB);
    return { rows: body.rows ?? 0, scopeBytes: this.governor.snapshot().scopes[0]?.ownBytes ?? 0 };
  }

  letGo(): void {
    this.#released.resolve();
    this.#released = Promise.withResolvers<void>();
  }

  [Symbol.dispose](): void {
    this.letGo();
    for (const room of this.#open) room[Symbol.dispose]();
  }
}

/** A service with the routes of the site, with the line before them. */
export interface RunningService extends AsyncDisposable {
  readonly port: number;
}

/**
 * `/`, `/health`, `/report/:id`: `hello`. `/hold`: `site.hold()`. `POST /count`: `site.count(JSON body)`. `/fail`: throws. `/stream`: a chunk, then waits.
 */
export type StartService = (site: Site, governor: Governor, options: ShedPolicyOptions) => Promise<RunningService>;

/** A governor with fake meters, the site, and what turns the pressure. */
export function setUpSite() {
  const { governor, rss, clock } = setUp({ collect: false, trim: false });
  const press = (ratio: number) => {
    rss.bytes = ratio * 100 * MIB;
    governor.sample();
  };
  return { governor, clock, site: new Site(governor), press };
}
