import { failAndTrap } from './saying';

/** In the place of AssemblyScript's `env.abort`, which the host does not have: asc --use abort=...sdk/abort/abort */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  failAndTrap('an error in the code of the plugin');
}
