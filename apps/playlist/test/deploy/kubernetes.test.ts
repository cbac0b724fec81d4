import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Deployment, type IDeployment } from 'kubernetes-models/apps/v1';
import { ConfigMap, PersistentVolumeClaim, Service } from 'kubernetes-models/v1';
import { ManualClock, parseBytes } from 'plimsoll';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { DEFAULT_TERMINATION_LOG } from '../../../../src/governor/termination-log.ts';
import { parseCommandLine } from '../../src/cli.ts';
import type { PlaylistConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { startServer } from '../../src/serve/start-server.ts';

const TEXT = readFileSync(join(import.meta.dirname, '../../../../deploy/kubernetes.yaml'), 'utf8');
const MODELS = [Deployment, ConfigMap, PersistentVolumeClaim, Service];
const folder = mkdtempSync(join(tmpdir(), 'playlist-kubernetes-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Manifest = { readonly apiVersion: string; readonly kind: string; readonly metadata: { readonly name: string } };

function read(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  });
}

/** What the API server would refuse or, which is worse, leave out: values against the schema, and keys that the schema does not know. */
function faults(text: string): string[] {
  return read(text).flatMap((manifest) => {
    const Model = MODELS.find(({ apiVersion, kind }) => apiVersion === manifest.apiVersion && kind === manifest.kind);
    if (Model === undefined) return [`${manifest.apiVersion} ${manifest.kind}: no such kind`];
    const unread = new Set<string>();
    const watched = watch(structuredClone(manifest), '', unread);
    const { validate } = Model.prototype as unknown as { validate(this: unknown): void };
    try {
      // The schema's code asks for each key that it knows, and for all of a map.
      validate.call(watched);
    } catch (error) {
      return [`${manifest.kind}: ${(error as Error).message}`];
    }
    return [...unread].map((path) => `${manifest.kind}${path}: unknown key`);
  });
}

/** Hands out the same values, and strikes each key from `unread` that somebody has asked for. */
function watch<Value>(value: Value, path: string, unread: Set<string>): Value {
  if (typeof value !== 'object' || value === null) return value;
  const inner = new Map<PropertyKey, unknown>();
  for (const [key, child] of Object.entries(value)) {
    const here = `${path}.${key}`;
    if (!Array.isArray(value)) unread.add(here);
    inner.set(key, watch(child, here, unread));
  }
  return new Proxy(value as object, {
    get(target, key) {
      unread.delete(`${path}.${String(key)}`);
      return inner.has(key) ? inner.get(key) : Reflect.get(target, key);
    },
  }) as Value;
}

const find = <Kind>(kind: string): Kind => read(TEXT).find((one) => one.kind === kind) as Kind;
const deployment = find<IDeployment>('Deployment');
const pod = deployment.spec!.template.spec!;
const container = pod.containers[0]!;
const toml = find<{ data: Record<string, string> }>('ConfigMap').data['playlist.toml']!;
const volumeAt = (path: string) => {
  const mount = container.volumeMounts?.find(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`));
  return pod.volumes?.find(({ name }) => name === mount?.name);
};
const bytes = (quantity: unknown) => parseBytes(`${String(quantity)}B`);

let config: PlaylistConfig;
beforeAll(() => {
  const file = join(folder, 'playlist.toml');
  writeFileSync(file, toml);
  const env = Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value]));
  config = loadConfig({ file, env });
});

describe('deploy/kubernetes.yaml', () => {
  it('is what the schema of Kubernetes asks for, with no key that it does not know', () => {
    expect(faults(TEXT)).toEqual([]);
    expect(read(TEXT).map(({ kind }) => kind)).toEqual(['ConfigMap', 'PersistentVolumeClaim', 'Deployment', 'Service']);
  });

  it.each([
    ['a key with a slip', 'livenessProbe:', 'livenesProbe:', /unknown key/],
    ['a key in the wrong place', 'readOnlyRootFilesystem: true', 'runAsNobody: true', /unknown key/],
    ['a number for text', 'value: /data', 'value: 7', /string/],
    ['text for a number', 'containerPort: 8080', 'containerPort: http', /integer/],
    ['a size that is none', 'memory: 256Mi', 'memory: 256 MiB', /match|quantity/i],
    ['a kind that is none', 'kind: Service', 'kind: Servce', /no such kind/],
    [
      'nothing where something is needed',
      /selector:\n {4}matchLabels:\n {6}app.kubernetes.io\/name: playlist\n/,
      '',
      /selector/,
    ],
  ])('fails this test with %s', (_, before, after, message) => {
    const text = TEXT.replace(before, after);
    expect(text).not.toBe(TEXT);
    expect(faults(text).join('\n')).toMatch(message);
  });

  it('has a configuration that loads, whose limit is the one of the container', () => {
    expect(config.warnings).toEqual([]);
    expect(config.memory.limitBytes).toBe(bytes(container.resources!.limits!.memory));
    expect(container.resources!.requests!.memory).toBe(container.resources!.limits!.memory);
    expect(config.serve.port).toBe(container.ports![0]!.containerPort);
    expect(config.serve.host).toBe('0.0.0.0');
  });

  it('starts the program with arguments that it takes, and the file where it is mounted', () => {
    const command = parseCommandLine(container.args!, '');
    expect(command).toMatchObject({ kind: 'serve', configFile: '/config/playlist.toml' });
    expect(volumeAt('/config/playlist.toml')).toMatchObject({
      configMap: { name: find<Manifest>('ConfigMap').metadata.name },
    });
  });

  it('lets everything be written to volumes, and spills to a disk that is large enough', () => {
    for (const path of [config.output.dir, config.cache.dir, config.memory.spill.dir])
      expect(volumeAt(path)).toBeDefined();
    const spill = volumeAt(config.memory.spill.dir)!.emptyDir!;
    expect(spill.medium ?? '').toBe('');
    expect(config.memory.spill.maxBytes).toBeLessThan(bytes(spill.sizeLimit));
    const ephemeral = pod.volumes!.reduce((sum, { emptyDir }) => sum + (emptyDir ? bytes(emptyDir.sizeLimit) : 0), 0);
    expect(ephemeral).toBeLessThanOrEqual(bytes(container.resources!.limits!['ephemeral-storage']));
    expect(pod.volumes!.every(({ emptyDir }) => emptyDir?.medium !== 'Memory')).toBe(true);
  });

  it('runs as nobody in particular, with nothing that it does not need', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
  });

  it('looks for last words where the governor leaves them', () => {
    expect(container.terminationMessagePath).toBe(DEFAULT_TERMINATION_LOG);
  });

  it('sends requests for the service to the port of the container', () => {
    const { spec } = find<{ spec: { selector: object; ports: readonly { targetPort: string }[] } }>('Service');
    expect(deployment.spec!.template.metadata!.labels).toEqual(spec.selector);
    expect(deployment.spec!.selector.matchLabels).toEqual(spec.selector);
    expect(spec.ports[0]!.targetPort).toBe(container.ports![0]!.name);
  });

  it('asks at paths that the server has: alive from the start, ready when there is a playlist', async () => {
    const file = join(folder, 'served.toml');
    writeFileSync(file, `[[source]]\npath = "x"\n[output]\ndir = "."\nname = "home"\n[serve]\nport = 0\n`);
    await using server = await startServer({
      config: loadConfig({ file, env: {} }),
      clock: new ManualClock(),
      describeError: String,
      warn: () => {},
      regenerate: async (signal) => {
        await once(signal, 'abort');
        throw signal.reason;
      },
    });
    const status = async (path: string | undefined) => (await fetch(`${server.origin}${path}`)).status;
    const { startupProbe, livenessProbe, readinessProbe } = container;
    expect(await status(startupProbe?.httpGet?.path)).toBe(200);
    expect(await status(livenessProbe?.httpGet?.path)).toBe(200);
    expect(await status(readinessProbe?.httpGet?.path)).toBe(503);
    writeFileSync(join(folder, 'home.m3u8'), '#EXTM3U\n');
    expect(await status(readinessProbe?.httpGet?.path)).toBe(200);
    for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
      expect(probe?.httpGet?.port).toBe(container.ports![0]!.name);
    }
  });
});
