/**
 * One string for equal texts, within a number of bytes, found by its bytes without decoding them.
 * @module
 */
