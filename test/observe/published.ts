import * as events from '../../src/events.ts';

/** Every channel that the library publishes on. */
export const CHANNELS = Object.values(events).filter((each) => each instanceof events.EventChannel);

/** One event on each of them, and the row of a monitor that it becomes. */
export const PUBLISHED: readonly { readonly publish: () => void; readonly row: object }[] = [
  {
    publish: () => events.levelEvents.publish({ from: 'high', to: 'low', meter: 'rss', bytes: 9, limitBytes: 10 }),
    row: { kind: 'pressure', source: 'governor', from: 'high', to: 'low', meter: 'rss', bytes: 9, limitBytes: 10 },
  },
  {
    publish: () => {
      const bytes = { targetBytes: 1, claimedBytes: 2, releasedBytes: 3, seenBytes: 4 };
      const how = { number: 1, why: 'pressure', strategy: 'deep', level: 'high', decidingMeter: 'rss' };
      events.trainEvents.publish({ ...how, ...bytes, elapsedMs: 5, observed: true, parts: [] });
    },
    row: {
      ...{ kind: 'reclaim', source: 'train', how: 'deep', targetBytes: 1, claimedBytes: 2, releasedBytes: 3 },
      ...{ seenBytes: 4, why: 'pressure', durationMs: 5, observed: true },
    },
  },
  {
    publish: () => {
      const bytes = { targetBytes: 1, claimedBytes: 2, releasedBytes: 3 };
      events.reclaimEvents.publish({ consumer: 'c', how: 'waiting', ...bytes, elapsedMs: 5, fault: 'torn' });
    },
    row: {
      ...{ kind: 'reclaim', source: 'c', how: 'waiting', targetBytes: 1, claimedBytes: 2, releasedBytes: 3 },
      ...{ durationMs: 5, message: 'torn' },
    },
  },
  {
    publish: () => {
      const asked = { requestedBytes: 8, availableBytes: 7, reason: 'limit', boundBy: 'c' };
      events.refusedEvents.publish({ consumer: 'c', ...asked, observed: false });
    },
    row: { kind: 'refused', source: 'c', requestedBytes: 8, availableBytes: 7, reason: 'limit' },
  },
  {
    publish: () =>
      events.scopeAbortedEvents.publish({ scope: 's', heldBytes: 1, level: 'critical', reason: 'r', observed: false }),
    row: { kind: 'error', source: 's', message: 'The scope was aborted: r', recoverable: true },
  },
  {
    publish: () => events.faultEvents.publish({ part: 'psi', message: 'gone', off: true }),
    row: { kind: 'error', source: 'psi', message: 'gone', recoverable: true },
  },
  {
    publish: () => events.leakEvents.publish({ what: 'lease of b', createdAt: 'here', ageMs: 4, count: 2 }),
    row: { kind: 'leak', source: 'lease of b', what: 'lease of b', count: 2, ageMs: 4 },
  },
  {
    publish: () => {
      const resource = { resource: 'f', kind: 'k', bytes: 1 };
      events.cleanupFailedEvents.publish({ registry: 'r', ...resource, attempts: 2, message: 'm' });
    },
    row: { kind: 'cleanup-failed', source: 'r', resource: 'f', bytes: 1, attempts: 2, message: 'm' },
  },
  {
    publish: () => events.slowAcquireEvents.publish({ pool: 'p', waitedMs: 200, waiting: 3, size: 4 }),
    row: { kind: 'pool', source: 'p', operation: 'slow acquire', waitedMs: 200, waiting: 3, size: 4 },
  },
  {
    publish: () => {
      const files = { run: 'r', dir: '/d', diskBytes: 1, maxBytes: 9, fileCount: 2, filesMade: 3 };
      const batches = { batchesWritten: 4, rawBytes: 5, batchesRead: 6, rawBytesRead: 7 };
      events.spillEvents.publish({ ...files, ...batches, ended: true });
    },
    row: { kind: 'spill', source: 'r', diskBytes: 1, fileCount: 2, rawBytes: 5, ended: true },
  },
  {
    publish: () => {
      const bytes = { beforeBytes: 9, afterBytes: 1, freedBytes: 8, releasedBytes: 7, claimedBytes: 6 };
      const how = { coordinator: 'c', number: 1, stage: 's', why: 'w', strategy: 'light', level: 'high' };
      events.cleanupEvents.publish({ ...how, ...bytes, items: 5, elapsedMs: 2, train: 0 });
    },
    row: { kind: 'cleaned', source: 'c', resource: 's', bytes: 7, durationMs: 2 },
  },
  {
    publish: () =>
      events.pluginEvents.publish({ plugin: 'p', what: 'off', code: 'C', message: 'm', failures: 3, maxFailures: 3 }),
    row: { kind: 'plugin', source: 'p', what: 'off', code: 'C', failures: 3, message: 'm' },
  },
  {
    publish: () => {
      const change = { pipeline: 'p', stage: 's', from: 'plain', to: 'spill', level: 'high', why: 'pressure' };
      events.pipelineModeEvents.publish(change);
    },
    row: { kind: 'mode', source: 'p', stage: 's', from: 'plain', to: 'spill', why: 'pressure' },
  },
  {
    publish: () => {
      const change = { pipeline: 'p', stage: 's', from: 'plugin', to: 'native', why: 'trap', level: 'high' };
      events.pipelineWorkerEvents.publish(change);
    },
    row: { kind: 'mode', source: 'p', stage: 's', from: 'plugin', to: 'native', why: 'trap' },
  },
  {
    publish: () => {
      const alert = { rule: 'drift', severity: 'warning', state: 'raised', value: 1, raiseAt: 1, clearAt: 0 };
      events.alertEvents.publish({ ...alert, unit: 'ratio', message: 'm', at: 0 });
    },
    row: { kind: 'alert', source: 'drift', severity: 'warning', state: 'raised', value: 1, message: 'm' },
  },
];
