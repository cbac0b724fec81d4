/*
 * Runs the configured filters: a program that the playlist hands over at the start (apps/playlist/PLUGINS.md). The same as filter-stream, in C without a library.
 * Memory: the program, copied behind what the linker placed; behind it the batch, which each call writes over. Output leaves in pieces of 64 KiB.
 */
#include "plimsoll.h"

enum { FIELDS = 8, HEAD = 36, PAGE = 65536, OUTPUT = 65536 };
enum { FALSE_OP, TRUE_OP, NOT_OP, SKIP_WHEN_FALSE, SKIP_WHEN_TRUE, TEXT = 0x10, ORDER = 0x20 };
enum { CONTAINS, EQUALS, STARTS_WITH, ENDS_WITH, KIND = 3, IGNORING_CASE = 8 };
#define NOT_SENT 0xfffffffeu
#define MAGIC 0x31504650u

extern u8 __heap_base;

static const u8 *program;
static u32 filter_count;
/* Where the next thing from the host goes. */
static u8 *input;
static u8 output[OUTPUT];
static u32 used;

static u32 word(const u8 *at) {
  u32 value;
  __builtin_memcpy(&value, at, 4);
  return value;
}

/* For texts as they stand in the source. */
#define fail(why) (host_fail(why, sizeof(why) - 1), FAILED)

EXPORT(plimsoll_abi) i32 plimsoll_abi(void) { return 1; }

EXPORT(plimsoll_alloc) u8 *plimsoll_alloc(u32 length) {
  if (!input) input = (u8 *)(((u32)&__heap_base + 15) & ~15u);
  u32 end = (u32)input + length;
  u32 have = (u32)__builtin_wasm_memory_size(0) * PAGE;
  if (end < length || (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (u32)-1)) {
    host_fail("no more memory", 14);
    __builtin_trap();
  }
  return input;
}

/* Bytes of the instruction at `at`, 0 when it is unknown or does not fit. */
static u32 size_at(const u8 *at, const u8 *end) {
  u32 left = (u32)(end - at), op = at[0];
  if (op <= NOT_OP) return 1;
  if (op <= SKIP_WHEN_TRUE) return left >= 5 ? 5 : 0;
  if (left < 6 || at[1] >= FIELDS) return 0;
  if (op >= ORDER) return op < ORDER + 4 && left >= 10 ? 10 : 0;
  if (op < TEXT || (op & 7) > KIND) return 0;
  u32 length = word(at + 2);
  return length <= left - 6 ? 6 + length : 0;
}

/* Whether every instruction is known and whole, and every jump goes forward to the beginning of one or to the end. */
static i32 is_sound(const u8 *code, const u8 *end) {
  for (const u8 *at = code; at < end;) {
    u32 size = size_at(at, end);
    if (size == 0) return 0;
    if (at[0] == SKIP_WHEN_FALSE || at[0] == SKIP_WHEN_TRUE) {
      u32 target = word(at + 1);
      if (target > (u32)(end - code)) return 0;
      const u8 *to = at + size;
      while (to < code + target && to < end) {
        u32 step = size_at(to, end);
        if (step == 0) return 0;
        to += step;
      }
      if (to != code + target) return 0;
    }
    at += size;
  }
  return 1;
}

EXPORT(plimsoll_init) i32 plimsoll_init(const u8 *config, u32 length) {
  if (length < 8 || word(config) != MAGIC) return NOT_FOR_THIS;
  const u8 *at = config + 8, *end = config + length;
  filter_count = word(config + 4);
  for (u32 i = 0; i < filter_count; i++) {
    if (end - at < 4) return NOT_FOR_THIS;
    u32 size = word(at);
    at += 4;
    if (size > (u32)(end - at) || !is_sound(at, at + size)) return NOT_FOR_THIS;
    at += size;
  }
  if (at != end) return NOT_FOR_THIS;
  /* It stays where it came; batches go behind it. */
  program = config + 8;
  input = (u8 *)(((u32)end + 15) & ~15u);
  return OK;
}

static i32 is_kelvin(const u8 *at) { return at[0] == 0xe2 && at[1] == 0x84 && at[2] == 0xaa; }

static i32 is_same(u32 byte, u32 wanted, i32 folded) {
  return byte == wanted || (folded && byte - 'A' <= 25 && byte + 32 == wanted);
}

/* Where the value ends that begins at `at`, 0 when it does not stand there. Of an i with a dot above (two bytes) the i can be the last of the value, if something may follow. */
static const u8 *matches(const u8 *at, const u8 *end, const u8 *value, const u8 *value_end, i32 folded, i32 whole) {
  while (value < value_end) {
    if (at == end) return 0;
    u32 wanted = *value++;
    if (is_same(*at, wanted, folded)) at++;
    else if (folded && wanted == 'k' && end - at >= 3 && is_kelvin(at)) at += 3;
    else if (folded && wanted == 'i' && end - at >= 2 && at[0] == 0xc4 && at[1] == 0xb0)
      return value == value_end && !whole ? at + 2 : 0;
    else return 0;
  }
  return at;
}

static i32 contains(const u8 *text, u32 length, const u8 *value, u32 size, i32 folded) {
  if (size == 0) return 1;
  if (size > length) return 0;
  const u8 *end = text + length, *last = end - size;
  u32 first = value[0], other = first, odd = first;
  if (folded) {
    if (first - 'a' <= 25) other = first - 32;
    if (first == 'k') odd = 0xe2;
    if (first == 'i') odd = 0xc4;
  }
  for (const u8 *at = text; at <= last; at++) {
    u32 byte = *at;
    if ((byte == first || byte == other || byte == odd) && matches(at, end, value, value + size, folded, 0)) return 1;
  }
  return 0;
}

static i32 ends_with(const u8 *text, u32 length, const u8 *value, u32 size, i32 folded) {
  if (size > length) return 0;
  const u8 *at = text + length;
  for (const u8 *left = value + size; left > value;) {
    if (at == text) return 0;
    u32 wanted = *--left;
    if (is_same(at[-1], wanted, folded)) at--;
    else if (folded && wanted == 'k' && at - text >= 3 && is_kelvin(at - 3)) at -= 3;
    else return 0;
  }
  return 1;
}

static i32 look(u32 how, const u8 *text, u32 length, const u8 *value, u32 size) {
  i32 folded = (how & IGNORING_CASE) != 0;
  const u8 *end = text + length, *value_end = value + size;
  switch (how & KIND) {
    case CONTAINS: return contains(text, length, value, size, folded);
    case EQUALS:
      if (size == 0) return length == 0;
      return size <= length && matches(text, end, value, value_end, folded, 1) == end;
    case STARTS_WITH: return size == 0 || (size <= length && matches(text, end, value, value_end, folded, 0) != 0);
    default: return ends_with(text, length, value, size, folded);
  }
}

static u32 space_at(const u8 *at, const u8 *end) {
  if (*at == ' ' || (u32)*at - 9 <= 4) return 1;
  return at[0] == 0xc2 && end - at >= 2 && at[1] == 0xa0 ? 2 : 0;
}

static u32 space_before(const u8 *at, const u8 *end) {
  if (end[-1] == ' ' || (u32)end[-1] - 9 <= 4) return 1;
  return end[-1] == 0xa0 && end - at >= 2 && end[-2] == 0xc2 ? 2 : 0;
}

static double number_of(const u8 *at, u32 length) {
  const u8 *end = at + length;
  for (u32 size; at < end && (size = space_at(at, end)) != 0;) at += size;
  for (u32 size; end > at && (size = space_before(at, end)) != 0;) end -= size;
  if (at == end) return __builtin_nan("");
  i32 negative = *at == '-';
  if (negative || *at == '+') at++;
  u32 digits = 0;
  double value = 0, scale = 0;
  for (; at < end; at++) {
    u32 digit = (u32)*at - '0';
    if (digit <= 9) {
      digits++;
      value = value * 10 + digit;
      scale *= 10;
    } else if (*at == '.' && scale == 0) scale = 1;
    else return __builtin_nan("");
  }
  if (digits == 0) return __builtin_nan("");
  if (scale > 1) value /= scale;
  return negative ? -value : value;
}

static i32 compare(u32 order, double number, double limit) {
  switch (order) {
    case 0: return number > limit;
    case 1: return number >= limit;
    case 2: return number < limit;
    default: return number <= limit;
  }
}

static i32 holds(const u8 *code, const u8 *end, const u8 *const texts[FIELDS], const u32 lengths[FIELDS]) {
  i32 truth = 0;
  for (const u8 *at = code; at < end;) {
    u32 op = at[0];
    if (op >= ORDER) {
      double limit;
      __builtin_memcpy(&limit, at + 2, 8);
      truth = compare(op - ORDER, number_of(texts[at[1]], lengths[at[1]]), limit);
      at += 10;
    } else if (op >= TEXT) {
      u32 size = word(at + 2);
      truth = look(op - TEXT, texts[at[1]], lengths[at[1]], at + 6, size);
      at += 6 + size;
    } else if (op >= SKIP_WHEN_FALSE) {
      at = truth == (op == SKIP_WHEN_TRUE) ? code + word(at + 1) : at + 5;
    } else {
      truth = op == NOT_OP ? !truth : op == TRUE_OP;
      at++;
    }
  }
  return truth;
}

/* The number of the first filter that does not let the channel stay, -1 when all do, -2 when its lengths do not fit. */
static i32 filter_against(const u8 *record, u32 length) {
  const u8 *texts[FIELDS];
  u32 lengths[FIELDS];
  u32 left = length - HEAD;
  const u8 *text = record + HEAD;
  for (u32 field = 0; field < FIELDS; field++) {
    u32 said = word(record + 4 + 4 * field);
    if (said >= NOT_SENT) said = 0;
    if (said > left) return -2;
    texts[field] = text;
    lengths[field] = said;
    text += said;
    left -= said;
  }
  const u8 *at = program;
  for (u32 i = 0; i < filter_count; i++) {
    u32 size = word(at);
    at += 4;
    if (!holds(at, at + size, texts, lengths)) return (i32)i;
    at += size;
  }
  return -1;
}

static void put(u32 value) {
  __builtin_memcpy(output + used, &value, 4);
  used += 4;
}

static void flush(void) {
  if (used > 0) host_emit(output, used);
  used = 0;
}

EXPORT(plimsoll_process) i32 plimsoll_process(const u8 *batch, u32 length) {
  const u8 *end = batch + length;
  for (const u8 *at = batch; at < end;) {
    if (end - at < 4) return fail("a batch that ends inside a record");
    u32 size = word(at);
    at += 4;
    if (size > (u32)(end - at)) return fail("a batch that ends inside a record");
    if (size < HEAD) return fail("a record that is no channel");
    i32 filter = filter_against(at, size);
    if (filter == -2) return fail("a record with lengths that do not fit");
    if (used > OUTPUT - 12) flush();
    put(filter < 0 ? 4 : 8);
    put(word(at));
    if (filter >= 0) put((u32)filter);
    at += size;
  }
  flush();
  return OK;
}
