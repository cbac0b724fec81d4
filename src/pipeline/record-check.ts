import { randomBytes } from 'node:crypto';
import { wireRecords } from './wire-records.ts';

/** Looks over what a plugin makes of records. Made anew for each try. What it throws is a failure of the plugin, and nothing of its output is used. */
export interface RecordCheck {
  /** All that the plugin is given, in order, in the wire form. */
  input(wire: Uint8Array): void;
  /** All that it puts out: whole records. */
  output(wire: Uint8Array): void;
  /** The plugin has finished. */
  end(): void;
}

/**
 * For plugins that only change the order: what comes out must be the records that went in, each as often. Found out by their number and the sum of two hashes with a seed of chance, so it finds
 * faults, and is no proof against a plugin that knows the seed. Two passes of a few operations over each byte, no memory.
 */
export function sameRecords(): RecordCheck {
  const seed = randomBytes(4).readInt32LE();
  const given = new RecordSum(seed);
  const found = new RecordSum(seed);
  return {
    input: (wire) => given.add(wire),
    output: (wire) => found.add(wire),
    end() {
      if (found.count !== given.count) throw new Error(`put out ${found.count} records, and was given ${given.count}`);
      if (found.first !== given.first || found.second !== given.second) {
        throw new Error('put out records that it was not given');
      }
    },
  };
}

/** FNV-1a, twice, summed up. */
class RecordSum {
  count = 0;
  first = 0;
  second = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  add(wire: Uint8Array): void {
    for (const { start, end } of wireRecords(wire)) {
      let a = this.#seed ^ 0x811c_9dc5;
      let b = ~this.#seed;
      for (let at = start; at < end; at++) {
        const byte = wire[at]!;
        a = Math.imul(a ^ byte, 0x0100_0193);
        b = Math.imul(b ^ byte, 0x85eb_ca6b) ^ (b >>> 15);
      }
      this.first = (this.first + Math.imul(a ^ (a >>> 15), 0x2c1b_3c6d)) | 0;
      this.second = (this.second + b + end - start) | 0;
      this.count++;
    }
  }
}
