/** An event of a monitor in words. Pure, and knows no browser. */
import type { MonitorEvent } from '../src/observe/monitor-events.ts';
import { bytesText, countText, msText } from './wording.ts';

export function eventText(event: MonitorEvent): string {
  switch (event.kind) {
    case 'pressure':
      return `${event.from} to ${event.to}: ${event.meter} ${bytesText(event.bytes)} of ${bytesText(event.limitBytes)}`;
    case 'reclaim':
      return reclaimText(event);
    case 'refused':
      return `wanted ${bytesText(event.requestedBytes)}, ${bytesText(event.availableBytes)} left: ${event.reason}`;
    case 'stage':
    case 'tool':
      return [msText(event.durationMs), ...(event.items === undefined ? [] : [`${countText(event.items)} items`])].join(
        ', ',
      );
    case 'mode':
      return `${event.stage}: ${event.from} to ${event.to} (${event.why})`;
    case 'spill':
      return `${bytesText(event.diskBytes)} in ${countText(event.fileCount)} files${event.ended ? ', ended' : ''}`;
    case 'cleaned':
      return `${bytesText(event.bytes)} given back`;
    case 'pool':
      return event.waitedMs === undefined ? event.operation : `${event.operation}, ${msText(event.waitedMs)}`;
    case 'plugin':
      return `${event.what}: ${event.code}`;
    case 'leak':
      return `${event.what}, ${countText(event.count)} so far`;
    case 'alert':
      return `${event.state}: ${event.message}`;
    case 'registered':
      return event.resource;
    case 'cache':
      return event.operation;
    default:
      return event.message ?? '';
  }
}

function reclaimText({ claimedBytes, releasedBytes, seenBytes, durationMs, message }: MonitorEvent<'reclaim'>): string {
  const seen = seenBytes === undefined ? '' : `, ${bytesText(seenBytes)} observed`;
  const fault = message === undefined ? '' : `: ${message}`;
  return `${bytesText(claimedBytes)} claimed, ${bytesText(releasedBytes)} released${seen}, in ${msText(durationMs)}${fault}`;
}
