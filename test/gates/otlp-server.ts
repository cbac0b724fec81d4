import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ProtobufReader } from '@opentelemetry/otlp-transformer/build/src/common/protobuf/protobuf-reader.js';

export interface OtlpPoint {
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface OtlpMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly type: 'gauge' | 'sum';
  readonly isMonotonic: boolean;
  /** 2: cumulative. */
  readonly temporality: number;
  readonly points: readonly OtlpPoint[];
}

export interface OtlpServer extends AsyncDisposable {
  readonly url: string;
  /** What was received so far, one entry for each request: by name. */
  readonly received: readonly ReadonlyMap<string, OtlpMetric>[];
  /** Requests that could not be read. */
  readonly faults: readonly string[];
}

/**
 * Receives metrics over OTLP/HTTP as protobuf. Messages are read with the reader of the official packages, which have none for requests: field numbers are those of
 * opentelemetry-proto, `metrics/v1/metrics.proto`.
 */
export async function startOtlpServer(): Promise<OtlpServer> {
  const received: ReadonlyMap<string, OtlpMetric>[] = [];
  const faults: string[] = [];
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.headers['content-type'] !== 'application/x-protobuf') throw new Error('it is no protobuf');
      received.push(new Map(readRequest(Buffer.concat(chunks)).map((metric) => [metric.name, metric])));
    } catch (cause) {
      faults.push(String(cause));
    }
    // An empty message: all was taken.
    response.setHeader('content-type', 'application/x-protobuf').end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/metrics`,
    received,
    faults,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Field by field; what `read` does not take is skipped. */
function eachField(bytes: Uint8Array, read: (field: number, reader: ProtobufReader) => boolean): void {
  const reader = new ProtobufReader(bytes);
  while (!reader.isAtEnd()) {
    const { fieldNumber, wireType } = reader.readTag();
    if (!read(fieldNumber, reader)) reader.skip(wireType);
  }
}

/** All messages that stand in one field. */
function messages(bytes: Uint8Array, field: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  eachField(bytes, (number, reader) => number === field && found.push(reader.readBytes()) > 0);
  return found;
}

function readRequest(bytes: Uint8Array): OtlpMetric[] {
  const resources = messages(bytes, 1);
  const scopes = resources.flatMap((resource) => messages(resource, 2));
  return scopes.flatMap((scope) => messages(scope, 2).map(readMetric));
}

function readMetric(bytes: Uint8Array): OtlpMetric {
  const metric = { name: '', description: '', unit: '', type: 'gauge' as 'gauge' | 'sum', isMonotonic: false };
  let temporality = 0;
  let points: OtlpPoint[] = [];
  eachField(bytes, (field, reader) => {
    if (field === 1) metric.name = reader.readString();
    else if (field === 2) metric.description = reader.readString();
    else if (field === 3) metric.unit = reader.readString();
    else if (field === 5 || field === 7) {
      const data = reader.readBytes();
      metric.type = field === 5 ? 'gauge' : 'sum';
      points = messages(data, 1).map(readPoint);
      eachField(data, (inner, more) => {
        if (inner === 2) temporality = more.readVarint();
        else if (inner === 3) metric.isMonotonic = more.readVarint() === 1;
        return inner === 2 || inner === 3;
      });
    } else return false;
    return true;
  });
  return { ...metric, temporality, points };
}

function readPoint(bytes: Uint8Array): OtlpPoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes: Record<string, string> = {};
  let value = Number.NaN;
  eachField(bytes, (field, reader) => {
    if (field === 4) value = view.getFloat64(reader.pos, true);
    if (field === 6) value = Number(view.getBigInt64(reader.pos, true));
    if (field !== 7) return false;
    const pair = reader.readBytes();
    const [key = ''] = messages(pair, 1).map((text) => Buffer.from(text).toString());
    attributes[key] =
      messages(pair, 2).flatMap((any) => messages(any, 1).map((text) => Buffer.from(text).toString()))[0] ?? '';
    return true;
  });
  return { attributes, value };
}
