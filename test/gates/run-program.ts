import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { demand } from './gate.ts';

const execute = promisify(execFile);

/** Runs a program to its end and resolves to its standard output; the end of what it printed is in the failure. `env` is added to this process's. */
export async function runProgram(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  try {
    return (await execute(command, [...args], { cwd, env: { ...process.env, ...env }, maxBuffer: 1 << 24 })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    demand(false, `${command} ${args.join(' ')}: ${(stdout + stderr).trim().slice(-1500)}`);
  }
}

/** Installs what the `package.json` in `dir` names, without a lock file. */
export const installPackages = (dir: string): Promise<string> =>
  runProgram('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], dir);
