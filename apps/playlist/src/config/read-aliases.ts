import { readFileSync, statSync } from 'node:fs';
import { PlimsollError } from 'plimsoll';
import { parse, TomlError } from 'smol-toml';

const MAX_FILE_BYTES = 16 * 1024 ** 2;

/** The alias file cannot be used (`PLIMSOLL_PLAYLIST_ALIASES`): a user's mistake, one line. */
export class AliasError extends PlimsollError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'PLIMSOLL_PLAYLIST_ALIASES', recovery: 'fail', cause });
  }
}

/**
 * Reads an alias file: TOML, one line a channel, on the left its name or tvg-id in the playlist, on the right the id or display-name of the
 * guide's channel, or a list of them: `"BBC 1" = "bbc1.uk"`. Throws `AliasError`.
 */
export function readAliases(file: string): [string, string][] {
  const pairs: [string, string][] = [];
  for (const [name, target] of Object.entries(readTable(file))) {
    const targets = Array.isArray(target) ? target : [target];
    for (const one of targets) {
      if (typeof one !== 'string')
        throw new AliasError(`${file}: "${name}": Expected text or a list of texts, got \`${String(one)}\``);
      pairs.push([name, one]);
    }
  }
  return pairs;
}

function readTable(file: string): Record<string, unknown> {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new AliasError(`${file}: Expected an alias file of at most 16 MiB`);
    return parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof AliasError) throw cause;
    if (cause instanceof TomlError) {
      const what = cause.message.split('\n', 1)[0]!.replace(/^Invalid TOML document: /, '');
      throw new AliasError(`${file}:${cause.line}:${cause.column}: ${what}`, cause);
    }
    const code = (cause as NodeJS.ErrnoException).code;
    throw new AliasError(
      `${file}: ${code === 'ENOENT' ? 'No such file: set [matching] aliases to one that exists' : `Cannot be read: ${code}`}`,
      cause,
    );
  }
}
