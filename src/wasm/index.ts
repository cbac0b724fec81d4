/**
 * Plugins in WebAssembly: each in a worker of its own, within declared memory and time, seeing nothing of the host but one small interface.
 * @module
 */
export { definePlugin, type LoadedPlugins, loadPlugins, type PluginDefinition } from './load-plugins.ts';
export type { OpenOptions, Plugin, PluginInstance, PluginManifest } from './plugin-contract.ts';
export {
  PluginError,
  PluginFailedError,
  PluginManifestError,
  PluginNoRoomError,
  PluginOffError,
  PluginOutputLimitError,
  PluginRefusedError,
  PluginRejectedError,
  PluginTimeoutError,
  PluginTomlError,
  PluginTrapError,
  PluginWorkerError,
} from './plugin-errors.ts';
export { PluginHost, type PluginHostStats } from './plugin-host.ts';
export { PLUGIN_HOST_DEFAULTS, type PluginHostOptions } from './plugin-host-options.ts';
export { parseManifest } from './plugin-manifest.ts';
