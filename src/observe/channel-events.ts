import {
  alertEvents,
  cleanupEvents,
  cleanupFailedEvents,
  type EventChannel,
  type EventMap,
  faultEvents,
  leakEvents,
  levelEvents,
  pipelineModeEvents,
  pipelineWorkerEvents,
  pluginEvents,
  reclaimEvents,
  refusedEvents,
  scopeAbortedEvents,
  slowAcquireEvents,
  spillEvents,
  trainEvents,
} from '../events.ts';
import type { NewMonitorEvent } from './monitor-events.ts';

type Hear = (event: NewMonitorEvent) => void;
type AnyChannel = { readonly [Name in keyof EventMap]: EventChannel<Name> }[keyof EventMap];

/**
 * Hears of everything that the library publishes, or of what `only` has of it, turned into the rows of a monitor, until the result is disposed. `hear` is called while the publisher
 * waits and must not throw. The channels are those of the process: two governors in one process are both heard.
 */
export function hearChannels(hear: Hear, only?: readonly AnyChannel[]): Disposable {
  const heard: Disposable[] = [];
  const on = <Name extends keyof EventMap>(
    channel: EventChannel<Name>,
    row: (event: EventMap[Name]) => NewMonitorEvent,
  ) => {
    const isWanted = only === undefined || only.some(({ name }) => name === channel.name);
    if (isWanted) heard.push(channel.subscribe((event) => hear(row(event))));
  };
  hearGovernor(on);
  hearHolders(on);
  hearPipelines(on);
  return {
    [Symbol.dispose]: () => {
      for (const each of heard) each[Symbol.dispose]();
    },
  };
}

type On = <Name extends keyof EventMap>(
  channel: EventChannel<Name>,
  row: (event: EventMap[Name]) => NewMonitorEvent,
) => unknown;

function hearGovernor(on: On): void {
  on(levelEvents, ({ from, to, meter, bytes, limitBytes }) => {
    return { kind: 'pressure', source: 'governor', from, to, meter, bytes, limitBytes };
  });
  on(trainEvents, ({ strategy, why, targetBytes, claimedBytes, releasedBytes, seenBytes, elapsedMs, observed }) => {
    const came = { targetBytes, claimedBytes, releasedBytes, seenBytes, why, durationMs: elapsedMs, observed };
    return { kind: 'reclaim', source: 'train', how: strategy, ...came };
  });
  on(reclaimEvents, ({ consumer, how, targetBytes, claimedBytes, releasedBytes, elapsedMs, fault }) => {
    const came = { targetBytes, claimedBytes, releasedBytes, durationMs: elapsedMs };
    return { kind: 'reclaim', source: consumer, how, ...came, ...(fault === undefined ? {} : { message: fault }) };
  });
  on(refusedEvents, ({ consumer, requestedBytes, availableBytes, reason }) => {
    return { kind: 'refused', source: consumer, requestedBytes, availableBytes, reason };
  });
  on(scopeAbortedEvents, ({ scope, reason }) => {
    return { kind: 'error', source: scope, message: `The scope was aborted: ${reason}`, recoverable: true };
  });
  on(faultEvents, ({ part, message }) => ({ kind: 'error', source: part, message, recoverable: true }));
  on(alertEvents, ({ rule, severity, state, value, message }) => {
    return { kind: 'alert', source: rule, severity, state, value, message };
  });
}

function hearHolders(on: On): void {
  on(leakEvents, ({ what, count, ageMs }) => ({ kind: 'leak', source: what, what, count, ageMs }));
  on(cleanupFailedEvents, ({ registry, resource, bytes, attempts, message }) => {
    return { kind: 'cleanup-failed', source: registry, resource, bytes, attempts, message };
  });
  on(slowAcquireEvents, ({ pool, waitedMs, waiting, size }) => {
    return { kind: 'pool', source: pool, operation: 'slow acquire', waitedMs, waiting, size };
  });
  on(pluginEvents, ({ plugin, what, code, failures, message }) => {
    return { kind: 'plugin', source: plugin, what, code, failures, message };
  });
  on(spillEvents, ({ run, diskBytes, fileCount, rawBytes, ended }) => {
    return { kind: 'spill', source: run, diskBytes, fileCount, rawBytes, ended };
  });
}

function hearPipelines(on: On): void {
  on(pipelineModeEvents, ({ pipeline, stage, from, to, why }) => {
    return { kind: 'mode', source: pipeline, stage, from, to, why };
  });
  on(pipelineWorkerEvents, ({ pipeline, stage, from, to, why }) => {
    return { kind: 'mode', source: pipeline, stage, from, to, why };
  });
  on(cleanupEvents, ({ coordinator, stage, releasedBytes, elapsedMs }) => {
    return { kind: 'cleaned', source: coordinator, resource: stage, bytes: releasedBytes, durationMs: elapsedMs };
  });
}
