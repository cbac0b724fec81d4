import type { Clock } from '../clock.ts';

/** Where text goes: a stream of the process, or a test's. */
export interface Outlet {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** What the commands have of the world around them. */
export interface Screen {
  readonly stdout: Outlet;
  readonly stderr: Outlet;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

const WIDTH = 80;

/** Colours for a terminal, unless `NO_COLOR` (no-color.org) is set or it is a dumb one; `FORCE_COLOR` asks for them elsewhere, as Node does. */
export function hasColour({ isTTY }: Outlet, env: Screen['env']): boolean {
  if ((env.NO_COLOR ?? '') !== '') return false;
  const forced = env.FORCE_COLOR;
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  return isTTY === true && env.TERM !== 'dumb';
}

/** Columns of a terminal: 80 where nobody says, and where it says 0, which some do that do not know. */
export const columnsOf = ({ columns }: Pick<Outlet, 'columns'>): number => columns || WIDTH;

/** How a page is drawn there. */
export function drawnOn(outlet: Outlet, env: Screen['env']): { readonly width: number; readonly colour: boolean } {
  return { width: columnsOf(outlet), colour: hasColour(outlet, env) };
}
