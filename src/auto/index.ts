/**
 * The entry that needs no code: what `node --import plimsoll/auto` does to a program that knows nothing of it. The package's door `plimsoll/auto` begins as soon as
 * it is loaded; this door only says how.
 * @module
 */
export { begin } from './begin.ts';
export type { AutoMode, AutoSettings, AutoSignal, RecycleSettings, ShedSettings } from './settings.ts';
export type { Auto } from './start-auto.ts';
