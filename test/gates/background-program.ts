import { type ChildProcess, spawn } from 'node:child_process';
import { GateFailure, seconds } from './gate.ts';

/** A program that runs while a gate talks to it. */
export interface BackgroundProgram {
  /** All that it printed so far. */
  output(): string;
  /** Ends it with `SIGTERM`, after 5 s with `SIGKILL`. Resolves to its exit code, or the signal that ended it. */
  stop(): Promise<number | NodeJS.Signals | null>;
}

export interface BackgroundOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What it prints when it can be talked to. */
  readonly ready: RegExp;
  /** Default 30 s. */
  readonly timeoutMs?: number;
}

const PATIENCE_MS = 5_000;

/** Starts a program and resolves once it says that it is ready; a `GateFailure` with all that it printed when it ends before, or never says so. */
export async function startProgram(options: BackgroundOptions): Promise<BackgroundProgram> {
  const { command, args, cwd, env, ready, timeoutMs = 30_000 } = options;
  const child = spawn(command, [...args], { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  let output = '';
  const program = { output: () => output, stop: () => stop(child, closed) };
  const becameReady = new Promise<string | undefined>((resolve) => {
    const look = (chunk: string) => {
      output += chunk;
      if (ready.test(output)) resolve(undefined);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', look);
    const timer = setTimeout(() => resolve(`was not ready in ${seconds(timeoutMs)}`), timeoutMs);
    void closed.then((how) => resolve(`ended with ${how}`)).finally(() => clearTimeout(timer));
  });
  const fault = await becameReady;
  if (fault === undefined) return program;
  await program.stop();
  throw new GateFailure(`${command} ${args.join(' ')} ${fault}: ${output.trim().slice(-1500)}`);
}

async function stop(child: ChildProcess, closed: Promise<number | NodeJS.Signals | null>) {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  try {
    return await closed;
  } finally {
    clearTimeout(timer);
  }
}
