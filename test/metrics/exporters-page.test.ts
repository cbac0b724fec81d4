import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { METRICS } from '../../src/metrics/index.ts';
import { OTEL_ATTRIBUTES } from '../../src/otel/index.ts';
import { prometheusName } from '../../src/prometheus/index.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/exporters.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `'));

it('docs/exporters.md has each metric under both its names, with its labels, and no other', () => {
  const expected = METRICS.map((metric) => {
    const labels = metric.labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${prometheusName(metric)}\` | \`${metric.name}\` | ${labels} | ${metric.help} |`;
  });
  expect(rows.filter((row) => row.startsWith('| `plimsoll_'))).toEqual(expected);
});

it('docs/exporters.md has each label under both its names', () => {
  for (const [label, attribute] of Object.entries(OTEL_ATTRIBUTES)) {
    expect(rows).toContain(`| \`${label}\` | \`${attribute}\` |`);
  }
});
