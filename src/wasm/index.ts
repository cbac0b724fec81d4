/**
 * Plugins in WebAssembly: each in a worker of its own, within declared memory and time, seeing nothing of the host but one small interface.
 * @module
 */
export {};
