import { PlimsollError, type Recovery } from '../errors.ts';

/** The base of what goes wrong with a plugin. Match `code`. */
export class PluginError extends PlimsollError {
  override readonly name: string = 'PluginError';
  /** Of the plugin, as its manifest has it. */
  readonly plugin: string;

  constructor(plugin: string, message: string, options: { code: string; recovery?: Recovery; cause?: unknown }) {
    super(`plugin ${plugin}: ${message}`, { recovery: 'fallback', ...options });
    this.plugin = plugin;
  }
}

/** `PLIMSOLL_PLUGIN_MANIFEST`: a manifest that cannot be taken, or a folder of them that cannot be read. One line with the file and the key. */
export class PluginManifestError extends PlimsollError {
  override readonly name: string = 'PluginManifestError';
  readonly file: string;
  /** Undefined where the file as a whole is at fault. */
  readonly key: string | undefined;

  constructor(file: string, key: string | undefined, what: string, cause?: unknown) {
    super(`${file}: ${key === undefined ? '' : `\`${key}\`: `}${what}`, { code: 'PLIMSOLL_PLUGIN_MANIFEST', cause });
    this.file = file;
    this.key = key;
  }
}

/** `PLIMSOLL_PLUGIN_TOML`: manifests are read with `smol-toml`, which is an optional peer and is not installed. */
export class PluginTomlError extends PlimsollError {
  override readonly name: string = 'PluginTomlError';

  constructor(cause: unknown) {
    super('manifests of plugins are read with smol-toml, which could not be loaded: npm install smol-toml', {
      code: 'PLIMSOLL_PLUGIN_TOML',
      cause,
    });
  }
}

/** `PLIMSOLL_PLUGIN_REJECTED`: the module is not taken, and none of it has run. */
export class PluginRejectedError extends PluginError {
  override readonly name: string = 'PluginRejectedError';

  constructor(plugin: string, message: string, cause?: unknown) {
    super(plugin, message, { code: 'PLIMSOLL_PLUGIN_REJECTED', cause });
  }
}

/** `PLIMSOLL_PLUGIN_NO_ROOM`: its declared maximum does not fit now, by the host's bounds or by the governor's word. No failure of the plugin. */
export class PluginNoRoomError extends PluginError {
  override readonly name: string = 'PluginNoRoomError';
  readonly requestedBytes: number;

  constructor(plugin: string, message: string, requestedBytes: number) {
    super(plugin, message, { code: 'PLIMSOLL_PLUGIN_NO_ROOM' });
    this.requestedBytes = requestedBytes;
  }
}

/** `PLIMSOLL_PLUGIN_REFUSED`: its `plimsoll_init` said that it is not for this configuration. No failure of the plugin. */
export class PluginRefusedError extends PluginError {
  override readonly name: string = 'PluginRefusedError';

  constructor(plugin: string, message: string) {
    super(plugin, message, { code: 'PLIMSOLL_PLUGIN_REFUSED' });
  }
}

/** `PLIMSOLL_PLUGIN_TRAP`: WebAssembly stopped it, or it broke the ABI: memory out of bounds, no more stack, forged pointers. What it gave to `fail` before is in the message. */
export class PluginTrapError extends PluginError {
  override readonly name: string = 'PluginTrapError';

  constructor(plugin: string, message: string, cause?: unknown) {
    super(plugin, message, { code: 'PLIMSOLL_PLUGIN_TRAP', cause });
  }
}

/** `PLIMSOLL_PLUGIN_TIMEOUT`: it did not return in time, and its worker was ended. */
export class PluginTimeoutError extends PluginError {
  override readonly name: string = 'PluginTimeoutError';
  readonly timeoutMs: number;

  constructor(plugin: string, call: string, timeoutMs: number) {
    super(plugin, `${call} did not return within ${timeoutMs}ms`, { code: 'PLIMSOLL_PLUGIN_TIMEOUT' });
    this.timeoutMs = timeoutMs;
  }
}

/** `PLIMSOLL_PLUGIN_OUTPUT_LIMIT`: one call gave more bytes than `maxOutputBytes`. */
export class PluginOutputLimitError extends PluginError {
  override readonly name: string = 'PluginOutputLimitError';

  constructor(plugin: string, call: string, maxOutputBytes: number) {
    super(plugin, `${call} gave more than ${maxOutputBytes} bytes`, { code: 'PLIMSOLL_PLUGIN_OUTPUT_LIMIT' });
  }
}

/** `PLIMSOLL_PLUGIN_FAILED`: it returned an error. What it gave to `fail` is in the message. */
export class PluginFailedError extends PluginError {
  override readonly name: string = 'PluginFailedError';

  constructor(plugin: string, message: string) {
    super(plugin, message, { code: 'PLIMSOLL_PLUGIN_FAILED' });
  }
}

/** `PLIMSOLL_PLUGIN_WORKER`: its worker or process could not be started, or ended by itself. */
export class PluginWorkerError extends PluginError {
  override readonly name: string = 'PluginWorkerError';

  constructor(plugin: string, message: string, cause?: unknown) {
    super(plugin, message, { code: 'PLIMSOLL_PLUGIN_WORKER', cause });
  }
}

/** `PLIMSOLL_PLUGIN_OFF`: it has failed `maxFailures` times and is not asked any more. */
export class PluginOffError extends PluginError {
  override readonly name: string = 'PluginOffError';

  constructor(plugin: string, failures: number) {
    super(plugin, `is off after ${failures} ${failures === 1 ? 'failure' : 'failures'}`, {
      code: 'PLIMSOLL_PLUGIN_OFF',
    });
  }
}
