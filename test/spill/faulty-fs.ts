import { nodeSpillFs, type SpillFs } from 'plimsoll/spill';

/** The disk, on which the call that `fails` says goes wrong: half done where that can be. */
export class FaultyFs {
  calls = 0;
  readonly #failAt: number;
  readonly #code: string;
  readonly failed: string[] = [];

  constructor(failAt: number, code: string) {
    this.#failAt = failAt;
    this.#code = code;
  }

  get fs(): SpillFs {
    const around = <K extends keyof SpillFs>(name: K): SpillFs[K] =>
      ((...args: unknown[]) =>
        this.#run(name, () => (nodeSpillFs[name] as (...a: unknown[]) => unknown)(...args))) as never;
    return {
      mkdir: around('mkdir'),
      readdir: around('readdir'),
      rename: around('rename'),
      unlink: around('unlink'),
      rm: around('rm'),
      lstat: around('lstat'),
      statfs: around('statfs'),
      readFile: around('readFile'),
      open: async (path, flags, mode) => {
        const file = (await this.#run('open', () => nodeSpillFs.open(path, flags, mode))) as Awaited<
          ReturnType<SpillFs['open']>
        >;
        return {
          writev: (pieces, at) =>
            this.#run(
              'writev',
              () => file.writev(pieces, at),
              // A part of it stands on the disk when the rest fails.
              () => file.writev([pieces[0]!.subarray(0, 9)], at),
            ) as never,
          read: (into, from, length, at) => this.#run('read', () => file.read(into, from, length, at)) as never,
          truncate: (length) => this.#run('truncate', () => file.truncate(length)) as never,
          sync: () => this.#run('sync', () => file.sync()) as never,
          close: () =>
            this.#run(
              'close',
              () => file.close(),
              () => file.close(),
            ) as never,
        };
      },
    };
  }

  async #run(name: string, call: () => unknown, half?: () => unknown): Promise<unknown> {
    if (++this.calls !== this.#failAt) return call();
    this.failed.push(name);
    await half?.();
    throw Object.assign(new Error(`${this.#code} on purpose`), { code: this.#code });
  }
}
