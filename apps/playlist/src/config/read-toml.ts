import { readFileSync, statSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { ConfigError } from './config-error.ts';
import type { RawConfig } from './environment.ts';

/** A configuration file may have this many bytes; it bounds every list in it. */
const MAX_FILE_BYTES = 4 * 1024 ** 2;

/** The text of a configuration file. Throws `ConfigError` with one line. */
export function readConfigText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES)
      throw new ConfigError([`${file}: Expected a configuration of at most 4 MiB, got ${size} bytes`]);
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new ConfigError([`${file}: No such file`], cause);
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new ConfigError([`${file}: Expected UTF-8 text: save the file as UTF-8`], cause);
    throw new ConfigError([`${file}: Cannot be read: ${code ?? (cause as Error).message}`], cause);
  }
}

/** The tables in it. Throws `ConfigError` with line and column. */
export function parseConfigText(text: string, file: string): RawConfig {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const what = cause.message.split('\n', 1)[0]!.replace(/^Invalid TOML document: /, '');
    throw new ConfigError([`${file}:${cause.line}:${cause.column}: ${what}`], cause);
  }
}
