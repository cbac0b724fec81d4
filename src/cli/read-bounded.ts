import { readSync } from 'node:fs';

const PIECE_BYTES = 1_048_576;

/**
 * What a descriptor gives from where it stands to its end, undefined where that is more than `mostBytes`: devices and pipes have no size to ask for, and some no end. Holds twice
 * what it gives at the end. Throws what the system throws.
 */
export function readBounded(file: number, mostBytes: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let total = 0; ; ) {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    let filled = 0;
    let length = -1;
    // A pipe gives little at a time.
    while (filled < PIECE_BYTES && length !== 0) {
      length = readSync(file, piece, filled, PIECE_BYTES - filled, null);
      filled += length;
    }
    pieces.push(piece.subarray(0, filled));
    total += filled;
    if (total > mostBytes) return undefined;
    if (length === 0) return Buffer.concat(pieces, total);
  }
}
