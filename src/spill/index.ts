/**
 * Bytes on disk instead of in memory, within a quota, and gone when their owner is.
 * @module
 */
