import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes a file as a whole or not at all: beside it, to the disk, then in its place. Returns its bytes. What fails is thrown, and nothing is left of it. */
export function writeWhole(path: string, text: string): number {
  const bytes = Buffer.from(text);
  const part = `${path}.${crypto.randomUUID()}.part`;
  try {
    const file = openSync(part, 'wx', 0o600);
    try {
      writeFileSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
  } catch (cause) {
    removePart(part);
    throw cause;
  }
  return bytes.length;
}

function removePart(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It was never made, or may not be removed: what went wrong first is told.
  }
}
