/**
 * Plimsoll: one memory budget to which everything that holds memory answers.
 * @module
 */
export * from './governor/contract.ts';
