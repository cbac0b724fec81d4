/* What the host offers and asks for: ABI version 1. Copy this file into your own plugin. */
#ifndef PLIMSOLL_H
#define PLIMSOLL_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;

#define HOST(name) __attribute__((import_module("plimsoll"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

HOST(log) void host_log(i32 level, const void *text, u32 length);
HOST(now) double host_now(void);
HOST(pressure) i32 host_pressure(void);
HOST(emit) i32 host_emit(const void *bytes, u32 length);
HOST(fail) void host_fail(const void *text, u32 length);
HOST(spill_write) i32 host_spill_write(const void *bytes, u32 length);
HOST(spill_size) i32 host_spill_size(i32 handle);
HOST(spill_read) i32 host_spill_read(i32 handle, u32 offset, void *into, u32 length);
HOST(spill_free) i32 host_spill_free(i32 handle);

enum { OK = 0, NOT_FOR_THIS = 1, FAILED = 2 };

#endif
