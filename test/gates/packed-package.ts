import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { demand, type Gate } from './gate.ts';
import { installPackages, runProgram } from './run-program.ts';

const PROJECT_DIR = join(import.meta.dirname, '..', '..');
const NODES_DIR = join(PROJECT_DIR, 'test', 'nodes');
const ENTRY = './auto';
const MAJORS = [20, 22, 24, 26] as const;

const nodePath = (major: number): string => join(NODES_DIR, 'node_modules', `node-${major}`, 'bin', 'node');

/** Every door is opened with `import` and with `require`, and both must be the same module. */
const SMOKE = `
const doors = JSON.parse(process.argv[2]);
(async () => {
  for (const door of doors) {
    const imported = await import(door);
    const required = require(door);
    if (Object.keys(imported).length === 0) throw new Error(door + ' exports nothing');
    for (const name of Object.keys(imported)) if (imported[name] !== required[name]) throw new Error(door + ' has two of ' + name);
  }
  const { createGovernor } = await import('plimsoll');
  const governor = createGovernor({ limitBytes: 2 ** 30 });
  const consumer = governor.consumer({ name: 'smoke', kind: 'external', maxBytes: 2 ** 20 });
  const reservation = consumer.reserve(1000);
  if (consumer.heldBytes !== 1000) throw new Error('held ' + consumer.heldBytes);
  reservation[Symbol.dispose]();
  if (consumer.heldBytes !== 0) throw new Error('still held ' + consumer.heldBytes);
  governor[Symbol.dispose]();
  console.log(process.version);
})().catch((error) => { console.error(error); process.exitCode = 1; });
`;

/** The program of the package, as it is installed: it answers, and a program that knows nothing of it is looked at. */
async function demandProgram(node: string, dir: string): Promise<void> {
  const cli = join(dir, 'node_modules', '.bin', 'plimsoll');
  const help = await runProgram(node, [cli, '--help'], dir);
  demand(/^Usage: plimsoll /.test(help), `plimsoll --help printed ${help.slice(0, 200)}`);
  const doctor = JSON.parse(
    await runProgram('sh', ['-c', '"$0" "$1" doctor --json || [ $? -eq 1 ]', node, cli], dir),
  ) as { kind: string };
  demand(doctor.kind === 'doctor', `plimsoll doctor is a ${doctor.kind}`);
  const report = join(dir, 'run.json');
  const said = await runProgram(node, [cli, 'run', '--report', report, '--', node, '-p', '6 * 7'], dir);
  demand(said === '42\n', `under plimsoll run a program printed ${said}`);
  const { processes } = JSON.parse(readFileSync(report, 'utf8')) as { processes: { looks: number }[] };
  demand(processes.length === 1 && processes[0]!.looks > 0, `plimsoll run saw ${JSON.stringify(processes)}`);
}

export const packedPackageGate: Gate = {
  name: 'package',
  promise:
    'the packed tarball passes publint and are-the-types-wrong, its doors open with import and require and its command line runs on Node 20, 22, 24 and 26',
  async run(say) {
    const dir = join(PROJECT_DIR, 'test', '.tmp', 'package');
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    try {
      const packed = JSON.parse(
        await runProgram('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', dir], PROJECT_DIR),
      ) as [{ filename: string; size: number; entryCount: number }];
      const { filename, size, entryCount } = packed[0];
      const tarball = join(dir, filename);
      await runProgram('npx', ['publint', 'run', '--strict', tarball], PROJECT_DIR);
      // Old `moduleResolution: node10` cannot see subpath exports; a CommonJS file that requires ES modules is what the design asks for.
      await runProgram('npx', ['attw', tarball, '--profile', 'esm-only'], PROJECT_DIR);
      say('publint and attw are content');
      if (!MAJORS.every((major) => existsSync(nodePath(major)))) {
        say('installing Node 20, 22, 24 and 26 from npm');
        await installPackages(NODES_DIR);
      }
      writeFileSync(join(dir, 'package.json'), '{ "name": "smoke", "private": true }');
      writeFileSync(join(dir, 'smoke.cjs'), SMOKE);
      await runProgram(
        'npm',
        ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', tarball],
        dir,
      );
      const { exports } = JSON.parse(readFileSync(join(PROJECT_DIR, 'package.json'), 'utf8')) as {
        exports: Record<string, unknown>;
      };
      const doors = Object.keys(exports)
        // The entry exports nothing: it works by being loaded, and is loaded beside the smoke.
        .filter((door) => !door.endsWith('.json') && door !== ENTRY)
        .map((door) => door.replace(/^\./, 'plimsoll'));
      const versions: string[] = [];
      for (const major of MAJORS) {
        for (const preload of [
          [],
          ['--import', `plimsoll/${ENTRY.slice(2)}`],
          ['--require', `plimsoll/${ENTRY.slice(2)}`],
        ]) {
          const args = [...preload, 'smoke.cjs', JSON.stringify(doors)];
          const version = (await runProgram(nodePath(major), args, dir)).trim();
          demand(version.startsWith(`v${major}.`), `expected Node ${major}, ran ${version}`);
          if (preload.length === 0) versions.push(version);
        }
        await demandProgram(nodePath(major), dir);
      }
      demand(
        (await runProgram('npx', ['--no-install', 'plimsoll', '--version'], dir)).trim() !== '',
        'npx plimsoll says nothing',
      );
      return `${entryCount} files, ${(size / 1024).toFixed(0)} KiB; ${doors.join(', ')} by import and require, and the command line, on ${versions.join(', ')}`;
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
