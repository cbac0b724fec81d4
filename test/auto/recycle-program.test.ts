import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeRecycle } from '../../src/auto/recycle-program.ts';

const PROGRAM = join(import.meta.dirname, 'programs', 'recycled.ts');
const ON = { PLIMSOLL: 'on', PLIMSOLL_RECYCLE_AFTER: '10s', PLIMSOLL_RECYCLE_STAGGER: '0' };

async function run(manner: string, env: Record<string, string> = ON) {
  const child = spawn(process.execPath, ['--conditions=source', PROGRAM, manner], { env: { ...process.env, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const about = /^(recycles|would|does|answered|the program)/;
  return { lines: stdout.split('\n').filter((line) => about.test(line)), stderr, end: code ?? signal };
}

const BEGINS = expect.stringMatching(/^recycles the process in N s unless it recovers: \d+ trains did not mend it$/);
const DRAINS = 'recycles the process: its servers accept nothing more';
const ENDS = 'recycles the process: exit code 75';

describe('a service that stays at critical', () => {
  it.concurrent('answers what it has begun and ends with the code that was set', async () => {
    const { lines, stderr, end } = await run('none');
    expect({ lines, stderr, end }).toEqual({ lines: [BEGINS, DRAINS, 'answered', ENDS], stderr: '', end: 75 });
  });

  it.concurrent('is let end by itself where it knows how, with the code that was set', async () => {
    const { lines, end } = await run('ends', { ...ON, PLIMSOLL_RECYCLE_EXIT: '42' });
    expect({ lines, end }).toEqual({ lines: [BEGINS, DRAINS, 'answered', 'the program ends'], end: 42 });
  });

  it.concurrent('is not ended by the signal that a library sends on', async () => {
    expect((await run('signals')).end).toBe(75);
  });

  it.concurrent('is ended when it takes too long', async () => {
    const { lines, end } = await run('hangs');
    expect(lines.filter((line) => line !== 'answered')).toEqual([BEGINS, DRAINS, 'the program takes its time', ENDS]);
    expect(end).toBe(75);
  });

  it.concurrent('is left alone when it has closed its servers itself', async () => {
    const { lines, end } = await run('closes');
    expect(lines.filter((line) => line.startsWith('recycles'))).toEqual([]);
    expect(end).toBe(3);
  });

  it.concurrent.each([
    ['observe', { ...ON, PLIMSOLL: 'observe' }],
    ['on, without recycle', { ...ON, PLIMSOLL_RECYCLE: 'off' }],
    ['off at run time', { ...ON, PLIMSOLL_CONTROL: join(import.meta.dirname, 'programs', 'switched-off') }],
  ])('is not ended in %s', async (name, env) => {
    const { lines, end } = await run('none', env);
    expect(end).toBe(3);
    if (name === 'observe')
      expect(lines).toEqual([expect.stringMatching(/^would recycle the process: \d+ s at critical/)]);
    else expect(lines).toEqual([]);
  });

  it.concurrent('that recovers is not ended', async () => {
    const { lines, end } = await run('recovers', {
      ...ON,
      PLIMSOLL_RECYCLE_AFTER: '60s',
      PLIMSOLL_RECYCLE_STAGGER: '1d',
    });
    expect(end).toBe(3);
    expect(lines.filter((line) => line !== 'answered').length).toBeLessThanOrEqual(2);
    expect(lines).not.toContain(ENDS);
  });
});

it('what follows from the line before is not told', () => {
  expect(describeRecycle({ what: 'hooks' })).toBeUndefined();
  expect(describeRecycle({ what: 'cancelled' })).toBe('does not recycle the process, it has recovered');
});
