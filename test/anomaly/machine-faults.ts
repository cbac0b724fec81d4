/** Faults of the machine under the governor: its clock, its files, its event bus. Each run gives what did not hold, in a line each. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGovernor, faultEvents, type GovernorOptions, levelEvents, reclaimEvents, refusedEvents } from 'plimsoll';
import { FakeMachine, mountV2 } from '../governor/fake-machine.ts';
import { settle, VirtualClock } from '../simulation/virtual-clock.ts';
import { serve } from './fail-nth.ts';
import { AT_REST, SERVICE_LIMIT, Service } from './service.ts';

export interface MachineFault {
  readonly name: string;
  run(): Promise<string[]>;
}

const DAY_MS = 86_400_000;
const right: ConstructorParameters<typeof Service>[0] = (_, call) => call();

/** A clock whose hands somebody moves at its `nth` reading; timers fire as ever. */
class WrongClock extends VirtualClock {
  #readings = 0;
  readonly #nth: number;
  readonly #wrong: (now: number) => number;

  constructor(nth: number, wrong: (now: number) => number) {
    super();
    this.#nth = nth;
    this.#wrong = wrong;
  }

  override now(): number {
    return ++this.#readings >= this.#nth ? this.#wrong(super.now()) : super.now();
  }
}

/** The service on a wrong clock: whatever the clock says, it is served, and the figures stay figures. */
function clockFault(name: string, wrong: () => (now: number) => number): MachineFault {
  return {
    name,
    async run() {
      const broken: string[] = [];
      for (const nth of [1, 2, 3, 5, 10, 20, 40, 80, 160, 320]) {
        const clock = new WrongClock(nth, wrong());
        const { outcomes, error, snapshot } = await serve(right, {}, clock);
        if (error !== undefined) broken.push(`reading ${nth}: ${error}`);
        if (!outcomes.includes(`${AT_REST} granted`)) broken.push(`reading ${nth}: the service got ${outcomes}`);
        const wild = /null|(spentMs|share)":-/.exec(snapshot);
        if (wild !== null)
          broken.push(
            `reading ${nth}: the snapshot says ${snapshot.slice(Math.max(0, wild.index - 60), wild.index + 20)}`,
          );
      }
      return broken;
    },
  };
}

const GROUP = 'sys/fs/cgroup/job';

function fakeMachine(): FakeMachine {
  return new FakeMachine({
    'proc/self/cgroup': '0::/job\n',
    'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
    [`${GROUP}/memory.max`]: `${SERVICE_LIMIT * 4_096}\n`,
    [`${GROUP}/memory.current`]: '4096\n',
    [`${GROUP}/memory.stat`]: 'inactive_file 0\nactive_file 0\nfile_mapped 0\n',
  });
}

/** A governor with its own meters on a fake machine, to which `change` happens; it must sample, grant and show itself all the same. */
function fileFault(name: string, change: (machine: FakeMachine) => void, part?: string): MachineFault {
  return {
    name,
    async run() {
      const broken: string[] = [];
      using machine = fakeMachine();
      const clock = new VirtualClock();
      const options: GovernorOptions = { root: machine.root, clock, mode: 'on', runtimeBytes: 0 };
      using governor = createGovernor(options);
      if (governor.limit.cgroup === undefined) broken.push('the group was not found to begin with');
      using consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 1_000 });
      const use = (when: string) => {
        governor.sample();
        using held = consumer.tryReserve(100);
        if (held?.bytes !== 100) broken.push(`${when}: a reservation was refused`);
        JSON.stringify(governor.snapshot());
      };
      use('before');
      change(machine);
      for (let i = 0; i < 60; i++) {
        use(`${i * 250}ms after`);
        await clock.run(250);
      }
      const named = governor.snapshot().faults.map((fault) => fault.part);
      if (part !== undefined && !named.includes(part))
        broken.push(`no fault is named ${part}, but ${named.join() || 'none'}`);
      return broken;
    },
  };
}

/** Whoever hears of events throws: Node makes an uncaught exception of that by its own rules; the caller of the governor sees none of it. */
const badListeners: MachineFault = {
  name: 'every subscriber of every event throws',
  async run() {
    const broken: string[] = [];
    const healthy = await serve(right);
    let heard = 0;
    const fail = () => {
      throw new Error('the subscriber is broken');
    };
    process.setUncaughtExceptionCaptureCallback(() => heard++);
    try {
      using _level = levelEvents.subscribe(fail);
      using _reclaim = reclaimEvents.subscribe(fail);
      using _refused = refusedEvents.subscribe(fail);
      using _fault = faultEvents.subscribe(fail);
      const { outcomes, error } = await serve((spot, call) => {
        if (spot === 'level listener') throw new Error('makes a fault event');
        return call();
      });
      await settle();
      if (error !== undefined) broken.push(error);
      if (outcomes !== healthy.outcomes) broken.push(`the service got ${outcomes}`);
      if (heard < 10) broken.push(`only ${heard} events were published`);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
    return broken;
  },
};

/** The folder of the flight recorder is not to be written to when the moment comes. */
function recorderFault(name: string, change: (folder: string) => void): MachineFault {
  return {
    name,
    async run() {
      const broken: string[] = [];
      using machine = new FakeMachine({});
      const folder = join(machine.root, 'dumps');
      mkdirSync(folder);
      const service = new Service(right, {
        flightRecorder: { folder },
        terminationLog: join(machine.root, 'no-such-folder/termination-log'),
      });
      change(folder);
      await service.run();
      const named = service.governor.snapshot().faults.map((fault) => fault.part);
      const dumps = existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder).length : 0;
      if (dumps === 0 && !named.some((part) => part.startsWith('flight')))
        broken.push(`nothing is written, and no fault is named but ${named.join() || 'none'}`);
      if (!service.outcomes.includes(`${AT_REST} granted`)) broken.push(`the service got ${service.outcomes}`);
      service.end();
      return broken;
    },
  };
}

const fullHistory: MachineFault = {
  name: 'the history and the journal have wrapped many times',
  async run() {
    const broken: string[] = [];
    const service = new Service(right);
    for (let i = 0; i < 5_000; i++) {
      service.usedBytes = (SERVICE_LIMIT * (i % 100)) / 100;
      service.clock.pass(250);
      service.governor.sample();
    }
    const history = service.governor.history();
    if (history.length !== 240) broken.push(`the history has ${history.length} samples`);
    if (history.some(({ atMs }, i) => i > 0 && atMs < history[i - 1]!.atMs)) broken.push('the history is out of order');
    await service.run();
    if (service.governor.history().length !== 240) broken.push('the history has lost samples');
    service.end();
    return broken;
  },
};

const manyFaults: MachineFault = {
  name: 'more parts fail than there are rows for',
  async run() {
    const broken: string[] = [];
    const service = new Service(right);
    const { governor } = service;
    for (let i = 0; i < 200; i++) {
      const reclaimer = {
        reclaimableBytes: () => {
          throw new Error('x'.repeat(100_000));
        },
      };
      using consumer = governor.consumer({ name: `bad-${i}`, kind: 'heap', maxBytes: 10, reclaimer });
      consumer.reserve(1);
      governor.snapshot();
    }
    const size = JSON.stringify(governor.snapshot()).length;
    if (size > 50_000) broken.push(`the snapshot has ${size} characters`);
    service.end();
    return broken;
  },
};

export const MACHINE_FAULTS: readonly MachineFault[] = [
  clockFault('the clock jumps a day ahead', () => (now) => now + DAY_MS),
  clockFault('the clock goes back a day', () => (now) => now - DAY_MS),
  clockFault('the clock goes back and forth', () => {
    let turn = 0;
    return (now) => now + (++turn % 2 === 0 ? DAY_MS : -DAY_MS);
  }),
  clockFault('the clock stands still', () => {
    let at: number | undefined;
    return (now) => (at ??= now);
  }),
  fileFault(
    'the files of the control group are emptied',
    ({ root }) => {
      for (const file of ['memory.current', 'memory.stat']) truncateSync(join(root, GROUP, file));
    },
    'meter cgroup',
  ),
  fileFault('the control group is removed', ({ root }) => rmSync(join(root, GROUP), { recursive: true })),
  fileFault('the limit is no number any more', (machine) => machine.write({ [`${GROUP}/memory.max`]: 'a lot\n' })),
  fileFault('the limit becomes a folder', ({ root }) => {
    rmSync(join(root, GROUP, 'memory.max'));
    mkdirSync(join(root, GROUP, 'memory.max'));
  }),
  fileFault('all of /proc is gone', ({ root }) => rmSync(join(root, 'proc'), { recursive: true })),
  fileFault('all of /sys is gone', ({ root }) => rmSync(join(root, 'sys'), { recursive: true })),
  recorderFault('the folder of the flight recorder is gone', (folder) => rmSync(folder, { recursive: true })),
  recorderFault('the folder of the flight recorder is a file', (folder) => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
  }),
  badListeners,
  fullHistory,
  manyFaults,
];
