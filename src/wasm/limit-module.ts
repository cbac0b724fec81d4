import { globalExport, tableExport } from './abi-contract.ts';
import { encodeU32, ModuleFault } from './module-sections.ts';
import { type Limits, MAX_TABLE_ELEMENTS, type ModuleShape } from './module-shape.ts';

/** Bytes that stand in place of others. */
interface Patch {
  readonly start: number;
  readonly end: number;
  readonly bytes: readonly number[];
}

const GLOBAL = 3;
const TABLE = 1;

/**
 * The module with the maximum of its memory, its own or the imported one, at `maxPages` or what it says itself, whichever is less; with a maximum for its tables, and with mutable globals and
 * tables exported under names of the host's. All else is copied as it is. One pass.
 * @throws ModuleFault where it begins with more than `maxPages`
 */
export function limitModule(bytes: Uint8Array, shape: ModuleShape, maxPages: number): Uint8Array<ArrayBuffer> {
  const { memory, tables, mutableGlobals, exportCount } = shape;
  if (memory.min > maxPages) {
    throw new ModuleFault(`begins with ${memory.min} pages of memory, and may have ${maxPages} (64 KiB each)`);
  }
  const added = [
    ...mutableGlobals.map((index) => exportEntry(globalExport(index), GLOBAL, index)),
    ...tables.map((_, index) => exportEntry(tableExport(index), TABLE, index)),
  ];
  const exportEnd = shape.sections.find(({ start, end }) => start < exportCount.start && exportCount.end <= end)!.end;
  const patches: Patch[] = [
    limitsPatch(memory, maxPages),
    ...tables.map((table) => limitsPatch(table, MAX_TABLE_ELEMENTS)),
    { start: exportCount.start, end: exportCount.end, bytes: encodeU32(exportCount.value + added.length) },
    { start: exportEnd, end: exportEnd, bytes: added.flat() },
  ];
  return applyPatches(bytes, shape, patches);
}

function limitsPatch({ start, end, min, max }: Limits, most: number): Patch {
  return { start, end, bytes: [1, ...encodeU32(min), ...encodeU32(Math.min(max ?? most, most))] };
}

function exportEntry(name: string, kind: number, index: number): number[] {
  return [...encodeU32(name.length), ...Buffer.from(name, 'latin1'), kind, ...encodeU32(index)];
}

function applyPatches(bytes: Uint8Array, shape: ModuleShape, patches: readonly Patch[]): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [bytes.subarray(0, 8)];
  for (const { id, start, contentStart, end } of shape.sections) {
    const inside = patches.filter((patch) => patch.start >= contentStart && patch.end <= end);
    if (inside.length === 0) {
      pieces.push(bytes.subarray(start, end));
      continue;
    }
    inside.sort((a, b) => a.start - b.start || a.end - b.end);
    const content: Uint8Array[] = [];
    let at = contentStart;
    for (const patch of inside) {
      content.push(bytes.subarray(at, patch.start), Uint8Array.from(patch.bytes));
      at = patch.end;
    }
    content.push(bytes.subarray(at, end));
    const length = content.reduce((sum, piece) => sum + piece.byteLength, 0);
    pieces.push(Uint8Array.of(id, ...encodeU32(length)), ...content);
  }
  const result = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.byteLength;
  }
  return result;
}
