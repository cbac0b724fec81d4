import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor, type GovernorOptions, ManualClock } from 'plimsoll';
import { Dashboard, type DashboardOptions, governorCommands } from 'plimsoll/dashboard';
import { expect, it } from 'vitest';

const MiB = 2 ** 20;

function makeGovernor(more: GovernorOptions = {}) {
  return createGovernor({
    limitBytes: 64 * MiB,
    runtimeBytes: 0,
    clock: new ManualClock(),
    meters: [],
    terminationLog: false,
    ...more,
  });
}

it.each<[string, Record<string, unknown>]>([
  ['governor', { governor: undefined }],
  ['governor', { governor: {} }],
  ['token', { token: 'short' }],
  ['token', { token: ' with white space' }],
  ['token', { token: 'schlüssel' }],
  ['token', { token: 12_345_678 }],
  ['hosts', { hosts: ['my.lan'] }],
  ['hosts', { hosts: ['http://my.lan'], token: 'open-sesame' }],
  ['hosts', { hosts: 'my.lan', token: 'open-sesame' }],
  ['basePath', { basePath: '/dashboard/' }],
  ['basePath', { basePath: 'dashboard' }],
  ['title', { title: '' }],
  ['maxPoints', { maxPoints: 0 }],
  ['everyMs', { everyMs: 0 }],
  ['maxStreams', { maxStreams: 0 }],
  ['commands', { commands: {} }],
  ['feed', { feed: {} }],
  ['clock', { clock: 1 }],
  ['tokens', { tokens: 1 }],
])('an unsound `%s` is a RangeError', (name, more) => {
  using governor = makeGovernor();
  expect(() => new Dashboard({ governor, ...more } as DashboardOptions)).toThrow(RangeError);
  expect(() => new Dashboard({ governor, ...more } as DashboardOptions)).toThrow(name);
});

it('a token that is refused is not shown, and an empty one is called so', () => {
  using governor = makeGovernor();
  expect(() => new Dashboard({ governor, token: 'my secret ' })).toThrow(/^(?!.*my secret)/);
  expect(() => new Dashboard({ governor, token: '' })).toThrow(
    /or undefined for none, got `an empty text` \(string\)$/,
  );
});

it.each(['0.0.0.0', '::', '192.0.2.1', 'my.lan', ''])('without a token it does not listen on `%s`', async (host) => {
  using governor = makeGovernor();
  await using dashboard = new Dashboard({ governor, clock: new ManualClock() });
  await expect(dashboard.listen({ port: 0, host })).rejects.toThrow(RangeError);
});

it.each([{ port: -1 }, { port: 65_536 }, {}, { port: 0, maxConnections: 3 }, { port: 0, hots: 'x' }])(
  '%j is no place to listen',
  async (options) => {
    using governor = makeGovernor();
    await using dashboard = new Dashboard({ governor, clock: new ManualClock() });
    await expect(dashboard.listen(options as { port: number })).rejects.toThrow(RangeError);
  },
);

it('a collection asks no holder, and stands in the journal', async () => {
  let collections = 0;
  let heapBytes = 20 * MiB;
  const meters = [{ name: 'heap' as const, limitBytes: 64 * MiB, read: () => heapBytes }];
  const collect = () => {
    collections++;
    heapBytes = 5 * MiB;
  };
  using governor = makeGovernor({ collect, meters });
  let asked = 0;
  const reclaimNow = () => ++asked;
  const reclaimer = { reclaimableBytes: () => MiB, reclaimNow };
  using rows = governor.consumer({ name: 'rows', kind: 'external', maxBytes: MiB, reclaimer });
  using _held = rows.reserve(MiB);
  const result = await governorCommands({ governor }).collect();
  expect(result.freedBytes).toBe(15 * MiB);
  expect(collections).toBeGreaterThan(0);
  expect(asked).toBe(0);
  expect(governor.journal()).toMatchObject([{ why: 'asked', strategy: 'aggressive' }]);
  expect(governor.snapshot().consumers.map(({ name }) => name)).toEqual(['runtime', 'rows']);
});

it('a command that cannot be done says why', async () => {
  const refused = { code: 'PLIMSOLL_COMMAND_REFUSED' };
  using observing = makeGovernor({ mode: 'observe' });
  await expect(governorCommands({ governor: observing }).collect()).rejects.toMatchObject(refused);
  await expect(governorCommands({ governor: observing }).reclaim('smart')).rejects.toMatchObject(refused);
  using never = makeGovernor({ collect: false });
  await expect(governorCommands({ governor: never }).collect()).rejects.toMatchObject(refused);
  await expect(governorCommands({ governor: never }).heapSnapshot()).rejects.toMatchObject(refused);
});

it('heap snapshots are refused without room, and where there are enough of them', async () => {
  const snapshotFolder = mkdtempSync(join(tmpdir(), 'plimsoll-dashboard-'));
  try {
    const meters = [{ name: 'heap' as const, limitBytes: 64 * MiB, read: () => 20 * MiB }];
    using governor = makeGovernor({ meters });
    const commands = governorCommands({ governor, snapshotFolder, maxSnapshots: 1 });
    await expect(commands.heapSnapshot()).rejects.toMatchObject({ code: 'PLIMSOLL_NO_ROOM_FOR_SNAPSHOT' });
    writeFileSync(join(snapshotFolder, 'plimsoll-1-2.heapsnapshot'), '');
    await expect(commands.heapSnapshot()).rejects.toMatchObject({ code: 'PLIMSOLL_COMMAND_REFUSED' });
  } finally {
    rmSync(snapshotFolder, { recursive: true });
  }
});
