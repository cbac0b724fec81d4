import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SpillFolder } from 'plimsoll/spill';
import { definePlugin, type Plugin, type PluginDefinition } from 'plimsoll/wasm';
import { CAP_BYTES } from './hostile-modules.ts';
import { type GuestParts, guest } from './wat.ts';

/** A plugin out of a module, or out of parts of one. */
export async function plugin(
  module: Uint8Array | GuestParts = {},
  definition: Partial<PluginDefinition> = {},
): Promise<Plugin> {
  const bytes = module instanceof Uint8Array ? module : await guest(module);
  return definePlugin({ name: 'guest', stages: ['filtering'], maxHeapBytes: CAP_BYTES, ...definition }, bytes);
}

export const STAGE = { stage: 'filtering' } as const;
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** A spill folder below the project's own folder of temporary things, which is on a disk. */
export async function openSpill(maxBytes = 2 ** 22): Promise<SpillFolder & { readonly parent: string }> {
  const parent = mkdtempSync(join(import.meta.dirname, '../../node_modules/.cache/plugin-spill-'));
  const folder = await SpillFolder.open(parent, { maxBytes, allowMemoryBacked: true });
  const dispose = folder[Symbol.asyncDispose].bind(folder);
  return Object.assign(folder, {
    parent,
    async [Symbol.asyncDispose]() {
      await dispose();
      await rm(parent, { recursive: true, force: true });
    },
  });
}
