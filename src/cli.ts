#!/usr/bin/env node
/**
 * The program `plimsoll`.
 * @module
 */
import { readFileSync } from 'node:fs';
import { endProcess, runCommandLine } from './cli/index.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// Whoever reads no more, such as `head`, has enough.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

runCommandLine(process.argv.slice(2), { version }).then(endProcess, (fault: unknown) => {
  console.error(fault);
  process.exitCode = 70;
});
