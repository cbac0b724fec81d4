/**
 * One string for equal texts, within a number of bytes, found by its bytes without decoding them.
 * @module
 */
export { STRING_INTERNER_DEFAULTS, type StringInternerOptions } from './interner-options.ts';
export { StaleSymbolError } from './stale-symbol-error.ts';
export { type InternedString, type InternerStats, StringInterner } from './string-interner.ts';
