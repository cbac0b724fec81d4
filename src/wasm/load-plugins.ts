import type { Plugin, PluginManifest } from './plugin-contract.ts';

/** What is made in a program instead of read from a file. */
export type PluginDefinition = Pick<PluginManifest, 'name' | 'stages' | 'maxHeapBytes'> &
  Partial<Omit<PluginManifest, 'abi' | 'wasm'>>;

export interface LoadedPlugins {
  /** By name. */
  readonly plugins: Plugin[];
  /** One line for each plugin that was not taken. */
  readonly problems: string[];
}

/** Takes a module that is at hand: for tests, and plugins that come with a program. Throws as `loadPlugins` complains. */
export function definePlugin(_definition: PluginDefinition, _wasm: Uint8Array): Promise<Plugin> {
  return Promise.reject(new Error('there is no loader yet'));
}

/** Reads every `*.toml` of a folder with the module that it names. */
export function loadPlugins(_dir: string): Promise<LoadedPlugins> {
  return Promise.reject(new Error('there is no loader yet'));
}
