import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import {
  AsyncResourceGuard,
  onShutdown,
  ResourceRegistry,
  type ShutdownOptions,
  type ShutdownReport,
  type ShutdownStep,
} from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { settle } from './settle.ts';

/** A process that notes how it is ended, and is not. */
class FakeProcess {
  readonly listeners = new Map<string, (() => void)[]>();
  readonly exits: number[] = [];

  on(signal: string, listener: () => void): void {
    this.listeners.set(signal, [...(this.listeners.get(signal) ?? []), listener]);
  }

  off(signal: string, listener: () => void): void {
    this.listeners.set(
      signal,
      this.count(signal).filter((other) => other !== listener),
    );
  }

  count(signal: string): (() => void)[] {
    return this.listeners.get(signal) ?? [];
  }

  send(signal: string): void {
    for (const listener of this.count(signal)) listener();
  }

  exit(code: number): void {
    this.exits.push(code);
  }
}

function open(steps: ShutdownStep | readonly ShutdownStep[], options: ShutdownOptions = {}) {
  const clock = new ManualClock();
  const process = new FakeProcess();
  const reports: ShutdownReport[] = [];
  const onEnd = (report: ShutdownReport) => void reports.push(report);
  const shutdown = onShutdown(steps, { deadlineMs: 9_000, onEnd, process, clock, ...options });
  return { clock, process, reports, shutdown };
}

const never = () => new Promise(() => {});

describe('the end of a process', () => {
  it('runs the steps in order, and then exits with 128 and the number of the signal', async () => {
    const order: string[] = [];
    const first = async () => {
      await settle(5);
      order.push('first');
    };
    const { process, reports, shutdown } = open([first, () => void order.push('second')]);
    shutdown.add(({ reason }) => void order.push(reason));
    shutdown.add(() => void order.push('taken out'))[Symbol.dispose]();
    process.send('SIGTERM');
    await settle();
    expect(order).toEqual(['first', 'second', 'SIGTERM']);
    expect(process.exits).toEqual([143]);
    expect(reports).toMatchObject([{ reason: 'SIGTERM', complete: true, steps: [{ step: 'first' }, {}, {}] }]);
    expect(process.count('SIGTERM')).toEqual([]);
  });

  it.each([
    ['SIGINT', {}, 130],
    ['SIGHUP', { signals: ['SIGHUP'] as const }, 129],
    ['SIGTERM', { exitCode: 0 }, 0],
  ])('on %s with %j exits with %d', async (signal, options, code) => {
    const { process } = open([], options);
    process.send(signal);
    await settle();
    expect(process.exits).toEqual([code]);
  });

  it('ends in time: each step has its part of what is left, and one that hangs does not take it from the others', async () => {
    const parts: number[] = [];
    const signals: AbortSignal[] = [];
    const hangs: ShutdownStep = ({ deadlineMs, signal }) => {
      parts.push(deadlineMs);
      signals.push(signal);
      return never();
    };
    const { clock, process, reports } = open([hangs, hangs, ({ deadlineMs }) => void parts.push(deadlineMs)]);
    process.send('SIGTERM');
    await settle();
    expect(signals[0]!.aborted).toBe(false);
    clock.advance(3_000);
    await settle();
    expect(signals[0]!.aborted).toBe(true);
    clock.advance(3_000);
    await settle();
    expect(parts).toEqual([3_000, 3_000, 3_000]);
    expect(process.exits).toEqual([143]);
    expect(reports[0]!.steps.map(({ outcome }) => outcome)).toEqual(['late', 'late', 'done']);
    expect(reports[0]).toMatchObject({ complete: false, elapsedMs: 6_000 });
    expect(clock.pending).toBe(0);
  });

  it('drains a registry, and says what it could not do', async () => {
    const clock = new ManualClock();
    const registry = new ResourceRegistry({ name: 'files', maxCount: 9, maxBytes: 9, clock });
    const dispose = vi.fn();
    registry.register({ name: 'a', dispose });
    registry.register({ name: 'hangs', dispose: never });
    const { process, reports } = open(registry, { clock, deadlineMs: 1_000 });
    process.send('SIGTERM');
    expect(dispose).toHaveBeenCalledTimes(1);
    clock.advance(900);
    await settle();
    expect(process.exits).toEqual([143]);
    expect(reports[0]!.steps).toMatchObject([
      { step: 'files', outcome: 'incomplete', report: { cleaned: 1, running: 1, complete: false } },
    ]);
  });

  it('goes on when a step throws, and when the listener does', async () => {
    const second = vi.fn();
    const { process, reports } = open([
      () => {
        throw new Error('no');
      },
      second,
    ]);
    process.send('SIGINT');
    await settle();
    expect(second).toHaveBeenCalledTimes(1);
    expect(reports[0]!.steps).toMatchObject([
      { outcome: 'failed', error: { code: 'PLIMSOLL_CLEANUP_FAILED' } },
      { outcome: 'done' },
    ]);
    const other = open([], {
      onEnd: () => {
        throw new Error('listener');
      },
    });
    other.process.send('SIGINT');
    await settle();
    expect(other.process.exits).toEqual([130]);
  });

  it('ends at once at the second signal', async () => {
    const { process } = open([never]);
    process.send('SIGTERM');
    expect(process.exits).toEqual([]);
    process.send('SIGINT');
    expect(process.exits).toEqual([130]);
    expect(process.count('SIGTERM')).toEqual([]);
  });

  it('skips nobody when a step takes itself out, and takes out the one that was meant of two that are the same', async () => {
    const order: string[] = [];
    const { shutdown } = open([]);
    const first = shutdown.add(() => {
      order.push('first');
      first[Symbol.dispose]();
    });
    const twice = () => void order.push('twice');
    const extra = shutdown.add(twice);
    shutdown.add(twice);
    extra[Symbol.dispose]();
    extra[Symbol.dispose]();
    shutdown.add(() => void order.push('last'));
    expect((await shutdown.run()).steps).toHaveLength(3);
    expect(order).toEqual(['first', 'twice', 'last']);
  });

  it('goes on behind a step of which nothing can be looked at', async () => {
    const throws = (): never => {
      throw new Error('do not look');
    };
    const nameless = Object.defineProperty({ drain: async () => {} }, 'name', { get: throws });
    const speechless = { drain: async () => Object.defineProperty({}, 'complete', { get: throws }) };
    const last = vi.fn();
    const { process, reports } = open([nameless, speechless, last]);
    process.send('SIGTERM');
    await settle();
    expect(last).toHaveBeenCalledTimes(1);
    expect(reports[0]!.steps).toMatchObject([{ step: 'step 1', outcome: 'done' }, { outcome: 'failed' }, {}]);
    expect(process.exits).toEqual([143]);
  });

  it('does not cut off what was begun without a signal: the first one waits for it, the second does not', async () => {
    let goOn = () => {};
    const last = vi.fn();
    const { process, shutdown, reports } = open([() => new Promise<void>((resolve) => (goOn = resolve)), last]);
    const asked = shutdown.run();
    process.send('SIGTERM');
    expect(process.exits).toEqual([]);
    goOn();
    await asked;
    await settle();
    expect(last).toHaveBeenCalledTimes(1);
    expect([process.exits, reports.length]).toEqual([[143], 1]);
    const other = open([never]);
    void other.shutdown.run();
    other.process.send('SIGTERM');
    other.process.send('SIGTERM');
    expect(other.process.exits).toEqual([143]);
  });

  it('is one run, also for a step that asks for it', async () => {
    let runs = 0;
    const { shutdown } = open([
      () => {
        runs++;
        void shutdown.run();
      },
    ]);
    expect((await shutdown.run()).steps).toHaveLength(1);
    expect(runs).toBe(1);
  });

  it('calls a step that fails for what its own cleanup was late with failed, not late', async () => {
    const { clock, process, reports } = open(() =>
      new AsyncResourceGuard(1, never, { timeoutMs: 10, clock }).release(),
    );
    process.send('SIGTERM');
    clock.advance(10);
    await settle();
    expect(reports[0]!.steps).toMatchObject([{ outcome: 'failed' }]);
  });

  it('takes its listeners off when it is disposed of, and can be run without a signal', async () => {
    const step = vi.fn();
    const { process, shutdown } = open([step]);
    expect(process.count('SIGTERM')).toHaveLength(1);
    shutdown[Symbol.dispose]();
    shutdown[Symbol.dispose]();
    expect([process.count('SIGTERM'), process.count('SIGINT')]).toEqual([[], []]);
    expect(shutdown.run()).toBe(shutdown.run('again'));
    expect(await shutdown.run()).toMatchObject({ reason: 'asked', complete: true });
    expect(shutdown.running).toBe(true);
    expect(step).toHaveBeenCalledTimes(1);
    expect(process.exits).toEqual([]);
  });

  it('says what is wrong with an option, and takes no step more than 64', () => {
    expect(() => open([], { signals: ['SIGNOTHING' as never] })).toThrow('`signals`');
    expect(() => open([], { signals: ['SIGTERM', 'SIGTERM'] })).toThrow('`signals`');
    expect(() => open([], { deadlineMs: -1 })).toThrow('`deadlineMs`');
    expect(() => open([], { exitCode: 256 })).toThrow('`exitCode`');
    expect(() => open({} as never)).toThrow('`step`');
    expect(() => open(new Array(65).fill(never))).toThrow('at most 64');
  });
});

describe.skipIf(process.platform === 'win32')('a real process', () => {
  it.concurrent.each([
    ['ends well', 'SIGTERM', 143, 'closed b\nclosed a\nflushed\nSIGTERM true done,done,done\n'],
    ['ends well', 'SIGINT', 130, 'closed b\nclosed a\nflushed\nSIGINT true done,done,done\n'],
    ['hangs', 'SIGTERM', 143, 'flushed\nSIGTERM false incomplete,done,done\n'],
    ['impatient', 'SIGTERM', 143, 'closed b\nclosed a\nflushed\n'],
  ] as const)(
    'that %s, on %s exits with %d',
    async (how, signal, code, output) => {
      const script = join(import.meta.dirname, 'shutdown-child.ts');
      const env = { ...process.env, NODE_OPTIONS: '' };
      const child = spawn(process.execPath, ['--conditions=source', script, how], {
        env,
        stdio: ['ignore', 'pipe', 2],
      });
      let printed = '';
      let begun = false;
      child.stdout!.on('data', (data: Buffer) => {
        printed += data.toString();
        if (!begun && printed.includes('ready\n')) {
          begun = true;
          child.kill(signal);
        }
        if (how === 'impatient' && printed.includes('flushed')) child.kill(signal);
      });
      const [exitCode, killedBy] = (await once(child, 'close')) as [number | null, string | null];
      expect({ exitCode, killedBy }).toEqual({ exitCode: code, killedBy: null });
      expect(printed).toBe(`ready\n${output}`);
    },
    30_000,
  );
});
