import { METRICS } from '../../src/metrics/index.ts';
import { prometheusName } from '../../src/prometheus/index.ts';

const known = new Map(METRICS.map((metric) => [prometheusName(metric), metric]));
const OF_PROMETHEUS = ['job', 'instance'];

/** What is wrong with a query; empty when nothing is. */
export function faultsOf(expr: string): string[] {
  const faults: string[] = [];
  const labels = new Set(OF_PROMETHEUS);
  for (const [, name = '', matchers = ''] of expr.matchAll(/\b(plimsoll_\w+)(?:\{([^}]*)\})?/g)) {
    const metric = known.get(name);
    if (metric === undefined) {
      faults.push(`there is no ${name}`);
      continue;
    }
    for (const label of metric.labels) labels.add(label);
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
      if (![...OF_PROMETHEUS, ...metric.labels].includes(label as never)) faults.push(`${name} has no ${label}`);
    }
    const rated = new RegExp(`(?:rate|increase)\\(${name}\\b`).test(expr);
    if (metric.type === 'counter' && !rated) faults.push(`${name} is a total`);
    if (metric.type !== 'counter' && rated && name !== 'plimsoll_holder_value') faults.push(`${name} is no total`);
  }
  for (const [, list = ''] of expr.matchAll(/\b(?:by|ignoring|on)\s*\(([^)]*)\)/g)) {
    for (const label of list.split(/,\s*/)) if (!labels.has(label)) faults.push(`nothing has ${label}`);
  }
  return faults;
}
