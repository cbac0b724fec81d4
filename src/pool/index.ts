/**
 * Things that are used again: objects, buffers, connections. Each is borrowed as a lease and given back by disposing it.
 * @module
 */
