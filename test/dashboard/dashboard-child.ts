import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DashboardListenOptions, DashboardOptions, DashboardStats } from 'plimsoll/dashboard';

const PROGRAM = join(import.meta.dirname, 'dashboard-program.ts');

export type ChildStats = DashboardStats & { readonly rssBytes: number };

/** A process with a dashboard. Dispose it. */
export class DashboardChild implements Disposable {
  readonly #child: ChildProcess;
  readonly #waiting: ((line: string) => void)[] = [];
  /** Rejects when the program ends: nothing that was asked is answered any more. */
  readonly #ended: Promise<never>;
  url = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((_, reject) => {
      child.once('close', (code) => reject(new Error(`The program with the dashboard ended with ${code}`)));
    });
    this.#ended.catch(() => {});
    createInterface(child.stdout!).on('line', (line) => this.#waiting.shift()?.(line));
  }

  static async start(
    options: Partial<Omit<DashboardOptions, 'governor'>>,
    listen: DashboardListenOptions = { port: 0 },
    consumers = 0,
  ): Promise<DashboardChild> {
    const child = spawn(process.execPath, ['--conditions=source', '--expose-gc', PROGRAM], {
      env: {
        ...process.env,
        OPTIONS: JSON.stringify(options),
        LISTEN: JSON.stringify(listen),
        CONSUMERS: String(consumers),
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const started = new DashboardChild(child);
    const line = await started.#next();
    started.url = /^ready (\S+)$/.exec(line)?.[1] ?? '';
    if (started.url === '') throw new Error(`The program with the dashboard says ${line}`);
    return started;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async stats(): Promise<ChildStats> {
    return JSON.parse((await this.#ask('stats')).slice('stats '.length)) as ChildStats;
  }

  /** Has it hold so many bytes in the books. */
  async hold(bytes: number): Promise<void> {
    await this.#ask(String(bytes));
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }

  #ask(line: string): Promise<string> {
    const answer = this.#next();
    this.#child.stdin!.write(`${line}\n`);
    return answer;
  }

  #next(): Promise<string> {
    const answer = new Promise<string>((resolve) => this.#waiting.push(resolve));
    return Promise.race([answer, this.#ended]);
  }
}
