// One thing that the room for observing does, many times over: time for each, what it leaves for the collector, and what it keeps.
import { setImmediate as turn } from 'node:timers/promises';
import { createGovernor, levelEvents, ManualClock, slowAcquireEvents, spillEvents, trainEvents } from 'plimsoll';
import { Alerts, MemoryProfiler, Monitor, ObservationFeed, watchCollections } from 'plimsoll/observe';

const [name, count] = [process.argv[2], Number(process.argv[3])];
/** So few that they fit into the young generation that the process is started with: nothing is collected while bytes are counted. */
const MEASURED = 1_000;
const EVENTS = 1_000;
const BATCH = 500;

const clock = new ManualClock();
const governor = createGovernor({ limitBytes: 4e9 });
for (let i = 0; i < 20; i++) governor.consumer({ name: `holder ${i}`, kind: 'heap', maxBytes: 1e6 }).reserve(1024);
/** Seven fields with its number and its time. */
const event = (i) => ({ kind: 'stage', source: 'parse', durationMs: i + 0.5, items: i, bytes: 1_000 * i });

function profiler(options) {
  const made = new MemoryProfiler({ maxCheckpoints: 1e9, sampleEveryMs: 0, ...options });
  made.start();
  return made;
}

const OPERATIONS = {
  'record, without a sink': () => {
    const monitor = new Monitor({ channels: false });
    return (n) => {
      for (let i = 0; i < n; i++) monitor.record(event(i));
    };
  },
  'record, with a message of 100 characters': () => {
    const monitor = new Monitor({ channels: false });
    const message = 'm'.repeat(100);
    return (n) => {
      for (let i = 0; i < n; i++) monitor.record({ ...event(i), message });
    };
  },
  'record, left out by sampling': () => {
    const monitor = new Monitor({ channels: false, sampleRate: 0 });
    return (n) => {
      for (let i = 0; i < n; i++) monitor.record(event(i));
    };
  },
  'record, and handed to a sink': () => {
    const monitor = new Monitor({ channels: false, sink: () => {} });
    return async (n) => {
      for (let i = 0; i < n; i++) {
        monitor.record(event(i));
        if (i % BATCH === BATCH - 1) await monitor.flush();
      }
    };
  },
  'an event on a channel that nobody hears': () => {
    // As each publisher of the library does it; in turn, or V8 would look once for the whole loop.
    const channels = [slowAcquireEvents, levelEvents, trainEvents, spillEvents];
    return (n) => {
      for (let i = 0; i < n; i++) {
        const channel = channels[i & 3];
        if (channel.heard) channel.publish({ pool: 'main', waitedMs: i, waiting: 1, size: 8 });
      }
    };
  },
  'a look of a feed, 20 consumers': () => {
    const feed = new ObservationFeed({ source: governor, maxPoints: 600, everyMs: 0 });
    return (n) => {
      for (let i = 0; i < n; i++) feed.look();
    };
  },
  'an event on a channel, heard by a monitor': () => {
    new Monitor();
    return (n) => {
      for (let i = 0; i < n; i++) slowAcquireEvents.publish({ pool: 'main', waitedMs: i, waiting: 1, size: 8 });
    };
  },
  'an event on a channel, counted by alerts': () => {
    new Alerts();
    return (n) => {
      for (let i = 0; i < n; i++) slowAcquireEvents.publish({ pool: 'main', waitedMs: i, waiting: 1, size: 8 });
    };
  },
  'evaluate, eight rules': () => {
    const alerts = new Alerts({ channels: false });
    const snapshot = governor.snapshot();
    return (n) => {
      for (let i = 0; i < n; i++) alerts.evaluate(snapshot);
    };
  },
  'take, of a watch of collections': () => {
    const watch = watchCollections();
    return (n) => {
      for (let i = 0; i < n; i++) watch.take();
    };
  },
  'a sample of a profiler': () => {
    profiler({ clock, sampleEveryMs: 1 });
    return (n) => {
      for (let i = 0; i < n; i++) clock.advance(1);
    };
  },
  'a checkpoint': () => {
    const made = profiler();
    return (n) => {
      for (let i = 0; i < n; i++) made.checkpoint('part');
    };
  },
  'a checkpoint, with a governor of 20 consumers': () => {
    const made = profiler({ source: governor });
    return (n) => {
      for (let i = 0; i < n; i++) made.checkpoint('part');
    };
  },
};

/** Bytes that stay: of a monitor that is full, and of V8's notes on one collection that nobody has taken yet. */
const KEPT = {
  'a monitor of 1,000 events': () => fullMonitor(event),
  'a monitor of 1,000 events, five texts of 200 characters in each': () => {
    const text = 't'.repeat(200);
    return fullMonitor(() => ({ kind: 'mode', source: text, stage: text, from: text, to: text, why: text }));
  },
  'a collection that a watch has not yet given': async () => {
    const grow = (n) => {
      const before = process.memoryUsage.rss();
      for (let i = 0; i < n; i++) gc({ type: 'minor' });
      return process.memoryUsage.rss() - before;
    };
    grow(1_000);
    const alone = grow(count);
    const watch = watchCollections();
    const watched = grow(count);
    watch[Symbol.dispose]();
    return (watched - alone) / count;
  },
};

async function fullMonitor(make) {
  const held = [];
  const before = await heapBytes();
  for (let m = 0; m < 20; m++) {
    const monitor = new Monitor({ channels: false, maxEvents: EVENTS });
    held.push(monitor);
    for (let i = 0; i < EVENTS; i++) monitor.record(make(i));
  }
  return ((await heapBytes()) - before) / held.length;
}

async function heapBytes() {
  for (let i = 0; i < 3; i++) {
    gc();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}

if (KEPT[name] !== undefined) {
  console.log(JSON.stringify({ elapsedMs: 0, keptBytes: await KEPT[name]() }));
} else {
  const operate = OPERATIONS[name]();
  await operate(Math.ceil(count / 4));
  await operate(Math.ceil(count / 4));
  const measured = Math.min(MEASURED, count);
  const before = await heapBytes();
  await operate(measured);
  const after = process.memoryUsage().heapUsed;
  const keptBytes = ((await heapBytes()) - before) / measured;
  const started = performance.now();
  await operate(count);
  const elapsedMs = performance.now() - started;
  const allocatedBytes = (after - before) / measured;
  console.log(JSON.stringify({ elapsedMs, nsEach: (elapsedMs * 1e6) / count, allocatedBytes, keptBytes }));
}
process.exit();
