// What the host offers: module `plimsoll`, named after this file. Pointers and lengths are checked by the host; one that is out of the memory ends the plugin.

export declare function log(level: i32, text: usize, length: i32): void;
/** Milliseconds from some fixed point. */
export declare function now(): f64;
/** The pressure level as it is now: `Level`. */
export declare function pressure(): i32;
export declare function emit(bytes: usize, length: i32): i32;
export declare function fail(text: usize, length: i32): void;
export declare function spill_write(bytes: usize, length: i32): i32;
export declare function spill_size(handle: i32): i32;
export declare function spill_read(handle: i32, offset: i32, into: usize, length: i32): i32;
export declare function spill_free(handle: i32): i32;
