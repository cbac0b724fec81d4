/** Request traces of real systems, where they are at hand: `../shared/data/traces` beside the project. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

const FOLDER = join(import.meta.dirname, '../../../shared/data/traces');

/** The file of each, and how its keys stand in it. */
const TRACES = {
  oltp: { file: 'OLTP.lis.zst', read: readRanges },
  loop: { file: 'loop.trace.gz', read: readLines },
  gli: { file: 'gli.trace.gz', read: readLines },
  multi1: { file: 'multi1.trace.gz', read: readLines },
  multi2: { file: 'multi2.trace.gz', read: readLines },
  web07: { file: 'web07.trace.xz', read: readBigEndian },
} as const;

export type TraceName = keyof typeof TRACES;

/** Why a trace cannot be read here; undefined when it can. */
export function missingTrace(name: TraceName): string | undefined {
  const { file } = TRACES[name];
  if (!existsSync(join(FOLDER, file))) return `there is no ${file} beside the project`;
  if (!file.endsWith('.xz')) return undefined;
  try {
    execFileSync('xz', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'there is no xz to unpack it';
  }
}

/** The keys in the order in which they were asked for. */
export function readTrace(name: TraceName): Int32Array {
  const { file, read } = TRACES[name];
  const path = join(FOLDER, file);
  if (file.endsWith('.xz')) return read(execFileSync('xz', ['-dc', path], { maxBuffer: 2 ** 30 }));
  const packed = readFileSync(path);
  return read(file.endsWith('.gz') ? gunzipSync(packed) : zstdDecompressSync(packed));
}

/** `start count ...`: consecutive keys. */
function readRanges(bytes: Buffer): Int32Array {
  const keys: number[] = [];
  for (const line of bytes.toString('latin1').split('\n')) {
    const [start, count] = line.split(' ', 2).map(Number);
    for (let i = 0; i < (count ?? 0); i++) keys.push(start! + i);
  }
  return Int32Array.from(keys);
}

/** A number a line; other lines are marks. */
function readLines(bytes: Buffer): Int32Array {
  const lines = bytes.toString('latin1').split('\n');
  return Int32Array.from(
    lines.map((line) => line.trim()).filter((line) => /^\d+$/.test(line)),
    Number,
  );
}

function readBigEndian(bytes: Buffer): Int32Array {
  return Int32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readInt32BE(4 * i));
}
