import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { METRICS, type MetricDefinition } from '../../src/metrics/index.ts';
import { OTEL_ATTRIBUTES } from '../../src/otel/index.ts';
import { prometheusName } from '../../src/prometheus/index.ts';
import { asShown, queriesOf, readDashboard } from '../metrics/grafana-dashboard.ts';
import { startProgram } from './background-program.ts';
import { freePort } from './free-port.ts';
import { demand, demandEqual, type Gate } from './gate.ts';
import type { OtlpMetric } from './otlp-server.ts';

const SERVICE = join(import.meta.dirname, 'exported-service.ts');
const ROOT = join(import.meta.dirname, '../..');
const LIMIT_BYTES = 512 * 2 ** 20;
const MOST_BY_CONSUMER = 24;
const PATIENCE_MS = 20_000;
/** Where the kernel does not tell. */
const MAY_BE_ABSENT = /psi/;

export const exportersGate: Gate = {
  name: 'exporters',
  promise:
    'metrics of a service as built are taken by promtool, scraped by a real Prometheus, shown by the dashboard, and received over OTLP',
  patient: true,
  async run(say) {
    // Loaded on first use: of all gates only this one needs it.
    const { startOtlpServer } = await import('./otlp-server.ts');
    await using otlp = await startOtlpServer();
    const env = { OTLP_URL: otlp.url, PLIMSOLL: '', NODE_OPTIONS: '' };
    const start = { command: process.execPath, args: [SERVICE], cwd: ROOT, env, ready: /listening on \d+/ };
    const service = await startProgram(start);
    const port = Number(/listening on (\d+)/.exec(service.output())![1]);
    const figures: string[] = [];
    try {
      figures.push(checkText(await scrape(port), say));
      if (onPath('prometheus') === undefined) say(missing('prometheus'));
      else figures.push(await checkPrometheus(port));
      await until('two exports over OTLP', () => otlp.received.length >= 2);
      figures.push(checkOtlp(otlp.received.at(-1)!));
      figures.push(checkBroken(await scrape(port, '/break'), say));
    } finally {
      const how = await service.stop();
      demand(how === 0, `the service ended with ${how}: ${service.output().slice(-1_500)}`);
    }
    demand(otlp.faults.length === 0, `OTLP: ${otlp.faults[0]}`);
    return figures.join('; ');
  },
};

const missing = (name: string): string =>
  `${name} is passed over: it is not here (Debian: apt-get install --no-install-recommends prometheus)`;

function onPath(name: string): string | undefined {
  const dirs = (process.env.PATH ?? '').split(delimiter);
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
}

async function scrape(port: number, path = '/metrics'): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).text();
}

async function until<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    demand(performance.now() < end, `${what} did not come within ${PATIENCE_MS / 1000} s`);
    await sleep(200);
  }
}

/** `promtool check metrics`: it reads the text, and has nothing to say of names, types and help. False where there is none. */
function lint(text: string, say: (line: string) => void): boolean {
  if (onPath('promtool') === undefined) {
    say(missing('promtool'));
    return false;
  }
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: ours(text),
    encoding: 'utf8',
  });
  demand(status === 0 && stdout + stderr === '', `promtool: exit ${status}: ${(stdout + stderr).slice(0, 1_500)}`);
  return true;
}

/** Without what prom-client shows of Node itself, whose names promtool does not like. */
function ours(text: string): string {
  return `${text
    .split('\n\n')
    .filter((family) => /^# HELP (plimsoll|requests)_/.test(family))
    .join('\n\n')}\n`;
}

function checkText(text: string, say: (line: string) => void): string {
  const lines = text.split('\n').filter((line) => line.startsWith('plimsoll_'));
  for (const definition of METRICS) {
    const name = prometheusName(definition);
    const count = lines.filter((line) => new RegExp(`^${name}[{ ]`).test(line)).length;
    demand(count > 0 || MAY_BE_ABSENT.test(name), `nothing is scraped of ${name}`);
    const bound = definition.labels.includes('count') ? 5 * MOST_BY_CONSUMER : MOST_BY_CONSUMER;
    demand(count <= bound, `${count} series of ${name}`);
  }
  const taken = lint(text, say) ? ', taken by promtool' : '';
  return `${lines.length} series of ${METRICS.length} metrics, ${ours(text).length} bytes${taken}`;
}

function checkBroken(text: string, say: (line: string) => void): string {
  demand(/^requests_total \d+$/m.test(text), 'a broken governor breaks the metrics of the service');
  demand(/^plimsoll_exporter_failures_total [1-9]/m.test(text), 'a broken governor is not counted');
  lint(text, say);
  return 'with a broken governor the rest is scraped';
}

interface Answer<Data> {
  readonly status: string;
  readonly error?: string;
  readonly data: Data;
}

type Vector = { readonly result: readonly { readonly value: readonly [number, string] }[] };

async function checkPrometheus(servicePort: number): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'plimsoll-prometheus-'));
  const port = await freePort();
  const rules = join(ROOT, 'deploy/prometheus-rules.yaml');
  const config = `global: { scrape_interval: 500ms, evaluation_interval: 500ms }\nrule_files: ['${rules}']\nscrape_configs: [{ job_name: service, static_configs: [{ targets: ['127.0.0.1:${servicePort}'] }] }]\n`;
  writeFileSync(join(dir, 'prometheus.yml'), config);
  const args = [`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/data`];
  const prometheus = await startProgram({
    command: 'prometheus',
    args: [...args, `--web.listen-address=127.0.0.1:${port}`],
    cwd: dir,
    ready: /ready to receive web requests/,
  });
  try {
    return await askPrometheus(`http://127.0.0.1:${port}/api/v1`);
  } finally {
    await prometheus.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

type Get = <Data>(path: string) => Promise<Answer<Data>>;

/** How many alerts of `deploy/prometheus-rules.yaml` there are, once all were evaluated. None may fail, and none fires for a calm service. */
async function checkedAlerts(get: Get): Promise<number | undefined> {
  type Rule = { readonly name: string; readonly health: string; readonly state: string; readonly lastError?: string };
  const { data } = await get<{ groups: { rules: Rule[] }[] }>('rules');
  const rules = data.groups.flatMap((group) => group.rules);
  for (const { name, lastError = '', state } of rules) {
    demand(lastError === '', `alert ${name}: ${lastError}`);
    demand(state !== 'firing', `alert ${name} fires`);
  }
  return rules.length > 0 && rules.every(({ health }) => health === 'ok') ? rules.length : undefined;
}

async function askPrometheus(api: string): Promise<string> {
  const get: Get = async <Data>(path: string): Promise<Answer<Data>> =>
    (await fetch(`${api}/${path}`)).json() as Promise<Answer<Data>>;
  const query = (expr: string) => get<Vector>(`query?query=${encodeURIComponent(expr)}`);
  await until('five scrapes', async () => {
    const { data } = await query('count_over_time(plimsoll_limit_bytes[1m])');
    return Number(data.result[0]?.value[1] ?? 0) >= 5;
  });
  const one = async (expr: string) => (await query(expr)).data.result.map(({ value }) => value[1]).join();
  demandEqual(
    'Prometheus',
    {
      up: await one('up'),
      limit: await one('plimsoll_limit_bytes'),
      level: await one('sum(plimsoll_pressure_level)'),
      // All that consumers hold comes to what is reserved.
      unnamed: await one('sum(plimsoll_consumer_usage_bytes) - sum(plimsoll_ledger_usage_bytes)'),
      refusals: await one('sum(plimsoll_consumer_refusals_total) - sum(plimsoll_refusals_total)'),
    },
    { up: '1', limit: String(LIMIT_BYTES), level: '1', unnamed: '0', refusals: '0' },
  );
  const { data: names } = await get<string[]>('label/__name__/values');
  const { data: types } = await get<Record<string, { type: string }[]>>('metadata');
  for (const definition of METRICS) {
    const name = prometheusName(definition);
    if (MAY_BE_ABSENT.test(name) && !names.includes(name)) continue;
    demand(names.includes(name), `Prometheus has no ${name}`);
    const type = definition.type === 'counter' ? 'counter' : 'gauge';
    demand(types[name]?.[0]?.type === type, `${name} is a ${types[name]?.[0]?.type} to Prometheus`);
  }
  const alerts = await until('each alert is evaluated', () => checkedAlerts(get));
  const queries = queriesOf(readDashboard());
  for (const { where, expr } of queries) {
    const { status, error, data } = await query(asShown(expr));
    demand(status === 'success', `dashboard, ${where}: ${error}`);
    demand(data.result.length > 0 || MAY_BE_ABSENT.test(expr), `dashboard, ${where}: nothing is shown for ${expr}`);
  }
  return `${names.filter((name) => name.startsWith('plimsoll_')).length} metrics in Prometheus, ${queries.length} queries of the dashboard answered, ${alerts} alerts evaluated`;
}

function checkOtlp(received: ReadonlyMap<string, OtlpMetric>): string {
  let points = 0;
  for (const definition of METRICS) {
    const metric = received.get(definition.name);
    if (metric === undefined && MAY_BE_ABSENT.test(definition.name)) continue;
    demand(metric !== undefined, `${definition.name} was not received over OTLP`);
    checkOtlpMetric(definition, metric);
    points += metric.points.length;
  }
  const { value } = received.get('plimsoll.limit')!.points[0]!;
  demand(value === LIMIT_BYTES, `the limit over OTLP is ${value}`);
  return `${points} points of ${received.size} metrics over OTLP`;
}

function checkOtlpMetric(definition: MetricDefinition, metric: OtlpMetric): void {
  const { name, unit, help, type, labels } = definition;
  const isSum = type !== 'gauge';
  demandEqual(
    `${name} over OTLP`,
    {
      ...metric,
      attributes: Object.keys(metric.points[0]?.attributes ?? {})
        .sort()
        .join(),
    },
    {
      unit,
      description: help,
      type: isSum ? 'sum' : 'gauge',
      isMonotonic: type === 'counter',
      temporality: isSum ? 2 : 0,
      attributes: labels
        .map((label) => OTEL_ATTRIBUTES[label])
        .sort()
        .join(),
    },
  );
  demand(
    metric.points.every(({ value }) => Number.isFinite(value)),
    `${name} over OTLP has no number`,
  );
}
