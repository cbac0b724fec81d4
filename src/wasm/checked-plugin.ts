import { PAGE_BYTES } from './abi-contract.ts';
import { checkModule } from './limit-code.ts';
import { limitModule } from './limit-module.ts';
import { ModuleFault } from './module-sections.ts';
import type { ModuleShape } from './module-shape.ts';
import type { Plugin, PluginManifest } from './plugin-contract.ts';
import { PluginRejectedError } from './plugin-errors.ts';

/** The largest module that is looked at, bytes. What V8 makes of one is several times its size. */
export const MAX_MODULE_BYTES = 4_194_304;

/** A plugin whose module has been looked at and compiled. */
export class CheckedPlugin implements Plugin {
  readonly manifest: PluginManifest;
  readonly file: string | undefined;
  readonly shape: ModuleShape;
  readonly #bytes: Uint8Array;
  readonly #module: WebAssembly.Module;
  /** Of `#module`. */
  readonly #maxPages: number;

  private constructor(parts: {
    manifest: PluginManifest;
    file: string | undefined;
    shape: ModuleShape;
    bytes: Uint8Array;
    module: WebAssembly.Module;
  }) {
    this.manifest = parts.manifest;
    this.file = parts.file;
    this.shape = parts.shape;
    this.#bytes = parts.bytes;
    this.#module = parts.module;
    this.#maxPages = pagesIn(parts.manifest.maxHeapBytes);
  }

  /** Looks at the module, then has V8 look at it. Runs none of it. @throws PluginRejectedError */
  static async check(manifest: PluginManifest, bytes: Uint8Array, file?: string): Promise<CheckedPlugin> {
    try {
      if (bytes.byteLength > MAX_MODULE_BYTES) {
        throw new ModuleFault(`has ${bytes.byteLength} bytes, and ${MAX_MODULE_BYTES} are the most`);
      }
      const checked = checkModule(bytes);
      const limited = limitModule(checked.bytes, checked.shape, pagesIn(manifest.maxHeapBytes));
      return new CheckedPlugin({ manifest, file, ...checked, module: await WebAssembly.compile(limited) });
    } catch (cause) {
      const message = String((cause as Error)?.message ?? cause).split('\n')[0]!;
      const what = cause instanceof ModuleFault ? `its module ${message}` : `its module is not sound: ${message}`;
      throw new PluginRejectedError(manifest.name, what, cause);
    }
  }

  get moduleBytes(): number {
    return this.#bytes.byteLength;
  }

  /** The module with that maximum of memory, compiled. @throws ModuleFault where it begins with more */
  async moduleFor(maxHeapBytes: number): Promise<WebAssembly.Module> {
    if (pagesIn(maxHeapBytes) === this.#maxPages) return this.#module;
    return WebAssembly.compile(this.bytesFor(maxHeapBytes));
  }

  bytesFor(maxHeapBytes: number): Uint8Array {
    return limitModule(this.#bytes, this.shape, pagesIn(maxHeapBytes));
  }
}

export const pagesIn = (bytes: number): number => Math.floor(bytes / PAGE_BYTES);
