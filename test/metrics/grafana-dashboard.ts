import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GrafanaPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
  readonly targets?: readonly {
    readonly expr: string;
    readonly refId: string;
    readonly legendFormat: string;
    readonly datasource: { readonly uid: string };
  }[];
}

export interface GrafanaDashboard {
  readonly title: string;
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly GrafanaPanel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export function readDashboard(): GrafanaDashboard {
  const path = join(import.meta.dirname, '../../deploy/grafana-plimsoll.json');
  return JSON.parse(readFileSync(path, 'utf8')) as GrafanaDashboard;
}

/** Each query of a panel, and of a variable. */
export function queriesOf({
  panels,
  templating,
}: GrafanaDashboard): { readonly where: string; readonly expr: string }[] {
  const ofPanels = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr })));
  const ofVariables = templating.list.flatMap(({ name, definition }) => {
    const expr = /^label_values\((.*), \w+\)$/.exec(definition ?? '')?.[1];
    return expr === undefined ? [] : [{ where: `$${name}`, expr }];
  });
  return [...ofPanels, ...ofVariables];
}

/** What Grafana puts in the place of its variables while all is shown. */
export function asShown(expr: string): string {
  return expr.replaceAll(/\$(job|instance)\b/g, '.*').replaceAll('$__rate_interval', '1m');
}
