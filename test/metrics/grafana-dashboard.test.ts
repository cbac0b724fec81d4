import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { asShown, queriesOf, readDashboard } from './grafana-dashboard.ts';
import { faultsOf } from './query-faults.ts';

const dashboard = readDashboard();
/** As Grafana writes its variables. */
const SOURCE = `\${datasource}`;

describe('deploy/grafana-plimsoll.json', () => {
  it('asks for nothing that is not exported, by labels that are there, totals as rates', () => {
    const queries = queriesOf(dashboard);
    expect(queries.length).toBeGreaterThan(30);
    expect(queries.flatMap(({ where, expr }) => faultsOf(expr).map((fault) => `${where}: ${fault}`))).toEqual([]);
  });

  it('a query that is wrong is seen', () => {
    expect(faultsOf('plimsoll_gone_bytes{job="a"}')).toEqual(['there is no plimsoll_gone_bytes']);
    expect(faultsOf('sum by (pod) (plimsoll_waiters)')).toEqual(['nothing has pod']);
    expect(faultsOf('plimsoll_waiters{meter="rss"}')).toEqual(['plimsoll_waiters has no meter']);
    expect(faultsOf('plimsoll_trains_total')).toEqual(['plimsoll_trains_total is a total']);
    expect(faultsOf('rate(plimsoll_waiters[5m])')).toEqual(['plimsoll_waiters is no total']);
  });

  it('shows what matters: the line and headroom, meters with bands, consumers, reclaim, collections, PSI, refusals', () => {
    const shown = queriesOf(dashboard)
      .map(({ expr }) => expr)
      .join(' ');
    for (const name of [
      ...['plimsoll_limit_bytes', 'plimsoll_headroom_bytes', 'plimsoll_meter_usage_bytes', 'plimsoll_pressure_level'],
      ...['plimsoll_consumer_usage_bytes', 'plimsoll_reclaim_released_bytes_total', 'plimsoll_drift_bytes'],
      ...['plimsoll_collection_time_seconds_total', 'plimsoll_psi_ratio', 'plimsoll_consumer_refusals_total'],
      ...['plimsoll_shed_refused_total', 'plimsoll_holder_value', 'plimsoll_exporter_failures_total'],
    ]) {
      expect(shown).toContain(name);
    }
  });

  it('takes its data source from a variable, everywhere', () => {
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance']);
    for (const { type, title, datasource, targets = [] } of dashboard.panels) {
      if (type === 'row') continue;
      expect(datasource, title).toEqual({ type: 'prometheus', uid: SOURCE });
      for (const target of targets) expect(target.datasource.uid, title).toBe(SOURCE);
    }
  });

  it('each panel has an id, a name and place of its own, says what it shows, and in which unit', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    const taken = new Map<string, string>();
    for (const { type, title, description, gridPos, fieldConfig, targets = [] } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x} ${y}`), `${title} lies on another`).toBeUndefined();
          taken.set(`${x} ${y}`, title);
        }
      }
      if (type === 'row') continue;
      expect(description?.length, title).toBeGreaterThan(10);
      expect(fieldConfig!.defaults.unit, title).not.toBe('');
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
    }
  });

  it('nothing of Grafana is left in a query as it is shown', () => {
    for (const { expr } of queriesOf(dashboard)) expect(asShown(expr)).not.toContain('$');
  });
});

it('deploy/prometheus-rules.yaml asks for nothing that is not exported, and says what is the matter', () => {
  const path = join(import.meta.dirname, '../../deploy/prometheus-rules.yaml');
  const { groups } = parse(readFileSync(path, 'utf8')) as {
    groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(5);
  for (const { alert, expr, annotations } of rules) {
    expect(faultsOf(expr), alert).toEqual([]);
    expect(annotations.summary, alert).toContain('$labels.instance');
  }
});
