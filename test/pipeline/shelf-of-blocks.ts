import type { ReclaimStrategy } from 'plimsoll';
import type { Cleaned, CleanHelp, MemoryCleanable } from 'plimsoll/pipeline';

/** A cleanable as plain as can be: blocks of a size, of which some are in use. What it does is told to `onFreed`. */
export class ShelfOfBlocks implements MemoryCleanable {
  readonly name: string;
  readonly blockBytes: number;
  blocks: number;
  /** Not let go of by `basic`. */
  inUse = 0;
  readonly calls: { readonly strategy: ReclaimStrategy; readonly targetBytes: number }[] = [];
  onFreed: (bytes: number) => void = () => {};

  constructor(name: string, blocks: number, blockBytes = 65_536) {
    this.name = name;
    this.blocks = blocks;
    this.blockBytes = blockBytes;
  }

  get bytes(): number {
    return this.blocks * this.blockBytes;
  }

  estimate(): number {
    return this.bytes;
  }

  clean(strategy: ReclaimStrategy, { targetBytes }: CleanHelp): Cleaned | Promise<Cleaned> {
    this.calls.push({ strategy, targetBytes });
    const free = strategy === 'basic' ? this.blocks - this.inUse : this.blocks;
    const items = Math.min(free, Math.ceil(targetBytes / this.blockBytes));
    this.blocks -= items;
    this.onFreed(items * this.blockBytes);
    return { bytes: items * this.blockBytes, items };
  }
}
