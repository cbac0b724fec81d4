/**
 * Keeps values by key within a number of bytes or entries, and gives them back when the governor asks.
 * @module
 */
