import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GuestParts, guest, guestText, toWat, wat } from './wat.ts';

/** A module that means harm, and what is to come of it. */
export interface HostileModule {
  readonly name: string;
  readonly build: () => Promise<Uint8Array>;
  /** The code of the error that ends it; undefined where it must not get what it wants, and goes on. */
  readonly code: string | undefined;
  /** True where a process of its own, whose heap is smaller, may end of it before the plugin does: `PLIMSOLL_PLUGIN_WORKER`. */
  readonly fillsHeap?: boolean;
  /** A piece of the message: who did what. */
  readonly says?: RegExp;
  /** What `process` puts out where it goes on. */
  readonly output?: (bytes: Uint8Array) => boolean;
}

export const CAP_BYTES = 2 ** 20;
export const CAP_PAGES = CAP_BYTES / 65_536;

const LOOP = '(loop $for_ever (br $for_ever)) (unreachable)';
/** Puts a number out as four bytes. */
const EMIT = (value: string) =>
  `(i32.store (i32.const 0) ${value}) (drop (call $emit (i32.const 0) (i32.const 4))) (i32.const 0)`;
const isNumber = (expected: (value: number) => boolean) => (bytes: Uint8Array) =>
  bytes.byteLength === 4 && expected(new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true));
const GROW = `(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) ${EMIT('(memory.size)')}`;
const IMPORTED: Pick<GuestParts, 'imports' | 'memory'> = { imports: '(import "env" "memory" (memory 1))', memory: '' };

const ran = (
  name: string,
  parts: GuestParts,
  code: string | undefined,
  more: Pick<HostileModule, 'says' | 'output' | 'fillsHeap'> = {},
): HostileModule => ({ name, build: () => guest(parts), code, ...more });

const TRAP = 'PLIMSOLL_PLUGIN_TRAP';
const TIMEOUT = 'PLIMSOLL_PLUGIN_TIMEOUT';
const REJECTED = 'PLIMSOLL_PLUGIN_REJECTED';
const OUTPUT = 'PLIMSOLL_PLUGIN_OUTPUT_LIMIT';
const OUTSIDE = /are not in a memory of/;

/** Never return. With the time limit that they run into. */
export const LOOPING: readonly HostileModule[] = [
  ran('a start section that loops', { fields: `(func $s ${LOOP}) (start $s)` }, TIMEOUT, { says: /its start/ }),
  ran('_initialize loops', { fields: `(func (export "_initialize") ${LOOP})` }, TIMEOUT, { says: /its start/ }),
  ran('alloc loops', { alloc: LOOP }, TIMEOUT, { says: /init/ }),
  ran('init loops', { init: LOOP }, TIMEOUT, { says: /init/ }),
  ran('process loops', { process: LOOP }, TIMEOUT, { says: /process/ }),
  ran('process loops over host calls', { process: '(loop $l (drop (call $now)) (br $l)) (unreachable)' }, TIMEOUT),
  ran('pressure loops', { pressure: LOOP }, TIMEOUT, { says: /pressure/ }),
  ran('finalize loops', { finalize: LOOP }, TIMEOUT, { says: /finalize/ }),
  ran(
    'hole: process loops over fills of its table',
    {
      fields: '(table $t 60000 funcref)',
      process: '(loop $l (table.fill $t (i32.const 0) (ref.null func) (i32.const 60000)) (br $l)) (unreachable)',
    },
    TIMEOUT,
  ),
  ran('finalize loops after a trap', { process: '(unreachable)', finalize: LOOP }, TRAP, { says: /unreachable/ }),
];

/** For `BULK_LOOPS`: a round takes a millisecond or more. */
export const LARGE_BYTES = 16 * CAP_BYTES;

/** Loops over single instructions that take long, which V8 looks into after some 100,000 rounds, if nobody helps it: after a minute and more. */
export const BULK_LOOPS: readonly HostileModule[] = ['fill', 'copy'].map((what) =>
  ran(
    `hole: process loops over memory.${what} of all its memory`,
    {
      memory: `(memory (export "memory") ${LARGE_BYTES / 65_536})`,
      process: `(loop $l (memory.${what} (i32.const 0) (i32.const 7) (i32.const ${LARGE_BYTES - 7})) (br $l)) (unreachable)`,
    },
    TIMEOUT,
    { says: /process/ },
  ),
);

const FORGED: readonly (readonly [string, string])[] = [
  ['a pointer behind the end', '(i32.const 65536) (i32.const 1)'],
  ['a length over the end', '(i32.const 65535) (i32.const 2)'],
  ['a negative pointer', '(i32.const -1) (i32.const 1)'],
  ['a negative length', '(i32.const 0) (i32.const -1)'],
  ['a sum that overflows 32 bits', '(i32.const -16) (i32.const 32)'],
];

const forgedIn = (name: string, call: (range: string) => string): HostileModule[] =>
  FORGED.map(([how, range]) =>
    ran(`${name} with ${how}`, { process: `${call(range)} (i32.const 0)` }, TRAP, { says: OUTSIDE }),
  );

export const FORGING: readonly HostileModule[] = [
  ...forgedIn('emit', (range) => `(drop (call $emit ${range}))`),
  ...forgedIn('log', (range) => `(call $log (i32.const 1) ${range})`),
  ...forgedIn('fail', (range) => `(call $fail ${range})`),
  ...forgedIn('spill_write', (range) => `(drop (call $spill_write ${range}))`),
  ...forgedIn('spill_read', (range) => `(drop (call $spill_read (i32.const 0) (i32.const 0) ${range}))`),
  ran('alloc gives a pointer behind the end', { alloc: '(i32.const 65536)' }, TRAP, { says: OUTSIDE }),
  ran('alloc gives a negative pointer', { alloc: '(i32.const -4)' }, TRAP, { says: OUTSIDE }),
  ran('alloc gives nothing', { alloc: '(i32.mul (i32.const 0) (local.get $len))' }, TRAP, { says: /has no room/ }),
  ran(
    'a handle that nobody gave',
    { process: EMIT('(call $spill_read (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 4))') },
    undefined,
    { output: isNumber((value) => value < 0) },
  ),
  ran('a negative handle', { process: EMIT('(call $spill_free (i32.const -3))') }, undefined, {
    output: isNumber((value) => value < 0),
  }),
  ran(
    'a start section that calls the host before there is a memory',
    { fields: '(func $s (drop (call $emit (i32.const 0) (i32.const 1)))) (start $s)' },
    TRAP,
  ),
  ran('emit where there is no output', { init: '(call $emit (i32.const 0) (i32.const 1))' }, TRAP, { says: /emit is/ }),
];

export const TAKING: readonly HostileModule[] = [
  ran('its own memory grows past the cap', { process: GROW }, undefined, {
    output: isNumber((pages) => pages === CAP_PAGES),
  }),
  ran(
    'its own memory has a maximum far above the cap',
    { memory: '(memory (export "memory") 1 65536)', process: GROW },
    undefined,
    {
      output: isNumber((pages) => pages === CAP_PAGES),
    },
  ),
  ran('imported memory grows past the cap', { ...IMPORTED, process: GROW }, undefined, {
    output: isNumber((pages) => pages === CAP_PAGES),
  }),
  ran('its memory begins above the cap', { memory: `(memory (export "memory") ${CAP_PAGES + 1})` }, REJECTED, {
    says: /begins with 17 pages/,
  }),
  ran(
    'imported memory begins above the cap',
    { imports: '(import "env" "memory" (memory 60000))', memory: '' },
    REJECTED,
  ),
  ran(
    'output without end',
    { process: '(loop $l (drop (call $emit (i32.const 0) (i32.const 65536))) (br $l)) (unreachable)' },
    OUTPUT,
  ),
  ran(
    'output without end that catches what stops it',
    {
      process: `(loop $l
        (try (do (drop (call $emit (i32.const 0) (i32.const 65536)))) (catch_all (return (i32.const 0))))
        (br $l)) (unreachable)`,
    },
    OUTPUT,
  ),
  ran('a table of ten million elements', { fields: '(table 10000000 funcref)' }, REJECTED, { says: /a table of/ }),
  ran('five tables', { fields: '(table 1 funcref)'.repeat(5) }, REJECTED, { says: /5 tables/ }),
  ran(
    'a table that grows without end',
    {
      fields: '(table $t 1 funcref)',
      process: `(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
        ${EMIT('(table.size $t)')}`,
    },
    undefined,
    { output: isNumber((size) => size > 60_000 && size <= 65_536) },
  ),
  ran(
    'exceptions without end, with little in each',
    {
      fields: `(tag $t (param ${'v128 '.repeat(8)}))
      (func $throw ${'(v128.const i32x4 1 2 3 4)'.repeat(8)} (throw $t))
      (func $hold (try (do (call $throw)) (catch_all (call $hold) (rethrow 0))))`,
      process: '(call $hold) (i32.const 0)',
    },
    TRAP,
    { says: /stack/, fillsHeap: true },
  ),
  ran('recursion without end', { fields: '(func $r (call $r) (call $r))', process: '(call $r) (i32.const 0)' }, TRAP, {
    says: /stack/,
  }),
  ran(
    'recursion without end in init',
    { fields: '(func $r (call $r) (call $r))', init: '(call $r) (i32.const 0)' },
    TRAP,
  ),
  ran(
    'log lines without end',
    {
      process: `(local $n i32) (loop $l
        (call $log (i32.const 3) (i32.const 0) (i32.const 65536))
        (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2000))))
        ${EMIT('(local.get $n)')}`,
    },
    undefined,
    { output: isNumber((count) => count === 2_000) },
  ),
  ran(
    'spilling without end',
    {
      memory: '(memory (export "memory") 2)',
      process: `(local $n i32) (local $r i32) (loop $l
        (local.set $r (call $spill_write (i32.const 0) (i32.const 65536)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.ge_s (local.get $r) (i32.const 0))))
        ${EMIT('(local.get $n)')}`,
    },
    undefined,
    { output: isNumber((count) => count >= 1 && count < 32) },
  ),
];

export const TRAPPING: readonly HostileModule[] = [
  ran('unreachable', { process: '(unreachable)' }, TRAP, { says: /unreachable/ }),
  ran('a read outside its memory', { process: '(i32.load (i32.const 65536))' }, TRAP, { says: /out of bounds/ }),
  ran('a division by zero', { process: '(i32.div_u (i32.const 1) (i32.const 0))' }, TRAP, { says: /zero/ }),
  ran(
    'a call of nothing',
    { fields: '(table 1 funcref) (type $n (func))', process: '(call_indirect (type $n) (i32.const 0)) (i32.const 0)' },
    TRAP,
  ),
  ran('an exception of its own', { fields: '(tag $t)', process: '(throw $t)' }, TRAP),
  ran(
    'an error in so many words',
    {
      process: '(call $fail (i32.const 0) (i32.const 9)) (i32.const 5)',
      fields: '(data (i32.const 0) "no\\u{1b}[2J\\0ah")',
    },
    'PLIMSOLL_PLUGIN_FAILED',
    { says: /returned 5: no [^\u0000-\u001f]+$/ },
  ),
  ran(
    'hole: a trap after some words, which nobody hears of',
    {
      process: '(call $fail (i32.const 0) (i32.const 9)) (unreachable)',
      fields: '(data (i32.const 0) "no\\u{1b}[2J\\0ah")',
    },
    TRAP,
    { says: /: plimsoll_process: unreachable: no [^\u0000-\u001f]+$/ },
  ),
  ran('a trap after very many words', { process: '(call $fail (i32.const 0) (i32.const 65536)) (unreachable)' }, TRAP, {
    says: /: plimsoll_process: unreachable: {1,1026}$/,
  }),
  ran(
    'a trap in a call, the words in one before',
    { init: '(call $fail (i32.const 0) (i32.const 9)) (i32.const 0)', process: '(unreachable)' },
    TRAP,
    { says: /: plimsoll_process: unreachable$/ },
  ),
  ran(
    'no room, in so many words',
    {
      alloc:
        '(if (i32.gt_u (local.get $len) (i32.const 0)) (then (call $fail (i32.const 0) (i32.const 9)))) (i32.mul (i32.const 0) (local.get $len))',
      fields: '(data (i32.const 0) "too large")',
    },
    TRAP,
    { says: /: plimsoll_alloc has no room: too large$/ },
  ),
  ran('init refuses', { init: '(i32.const 1)' }, 'PLIMSOLL_PLUGIN_REFUSED'),
  {
    name: 'another version of the ABI',
    build: () =>
      wat(
        guestText().replace('"plimsoll_abi") (result i32) (i32.const 1)', '"plimsoll_abi") (result i32) (i32.const 2)'),
      ),
    code: TRAP,
    says: /returned 2/,
  },
];

const refused = (
  name: string,
  text: string | (() => Promise<Uint8Array> | Uint8Array),
  says: RegExp,
): HostileModule => ({
  name,
  build: async () => (typeof text === 'string' ? wat(text) : text()),
  code: REJECTED,
  says,
});
const importing = (name: string, imports: string, says = /which the host does not give/): HostileModule =>
  refused(name, guestText({ imports }), says);
const good = (): Promise<Uint8Array> => guest();
const BOMB = /has a function \d+ that takes more to compile than/;
const MANY = 'i32 '.repeat(1_000);

export const REFUSED: readonly HostileModule[] = [
  importing('an unknown function of the host', '(import "plimsoll" "open_file" (func (param i32)))'),
  importing('a name that every object has', '(import "plimsoll" "constructor" (func))'),
  importing(
    'a WASI import',
    '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))',
  ),
  importing(
    'a circular import of its own export',
    '(import "circle" "plimsoll_process" (func (param i32 i32) (result i32)))',
  ),
  importing('an imported global', '(import "env" "secret" (global i32))'),
  importing('an imported table', '(import "env" "table" (table 1 funcref))'),
  importing('a memory under another name', '(import "env" "ram" (memory 1))'),
  importing('a host function of another type', '(import "plimsoll" "now" (func (result i64)))', /and it is \(-> f64\)/),
  refused('two memories', guestText({ imports: '(import "env" "memory" (memory 1))' }), /2 memories/),
  refused('memory64', guestText({ memory: '(memory (export "memory") i64 1)', process: '(i32.const 0)' }), /64 bits/),
  refused('imported memory64', guestText({ imports: '(import "env" "memory" (memory i64 1))', memory: '' }), /64 bits/),
  refused('a shared memory', guestText({ memory: '(memory (export "memory") 1 2 shared)' }), /shared/),
  refused('no memory', guestText({ memory: '' }).replaceAll('i32.store', 'i32.store'), /no memory/),
  refused('a memory that is not exported', guestText({ memory: '(memory 1)' }), /does not export `memory`/),
  refused(
    'no plimsoll_process',
    guestText().replace('plimsoll_process', 'process'),
    /does not export `plimsoll_process`/,
  ),
  refused(
    'a process of another type',
    guestText().replace(
      '(func (export "plimsoll_process") (param $ptr i32) (param $len i32) (result i32)',
      '(func (export "plimsoll_process") (param $ptr i32) (param $len i32) (param i64) (result i32)',
    ),
    /is to be \(i32 i32 -> i32\)/,
  ),
  refused(
    'a name of the host’s',
    guestText({ fields: '(global (export "plimsoll:g0") (mut i32) (i32.const 0))' }),
    /a name of the host/,
  ),
  refused(
    'a table of things of the host',
    guestText({ fields: '(table 1 externref)' }),
    /something else than functions/,
  ),
  // Nested in catch blocks they stay: 9,000 of them, of 64 KB each in V8's heap.
  refused(
    'an exception that carries a thousand vectors',
    guestText({ fields: `(tag $t (param ${'v128 '.repeat(1_000)}))` }),
    /carries 1000 values, and 8 are the most/,
  ),
  // Compiled they would take 12 bytes for each local or operand at each block: more than a gigabyte, and ten seconds that nobody can interrupt.
  refused(
    'hole: a function of 49,000 locals and 2,000 blocks',
    guestText({
      fields: `(func $f (param i32) (local ${'i32 '.repeat(49_000)}) ${'(block (br_if 0 (local.get 0)))'.repeat(2_000)})`,
    }),
    BOMB,
  ),
  refused(
    'hole: a function with 10,000 operands on its stack and 2,000 blocks',
    guestText({
      fields: `(func $f (param i32) ${'memory.size '.repeat(10_000)} ${'(block (br_if 0 (local.get 0)))'.repeat(2_000)} ${'drop '.repeat(10_000)})`,
    }),
    BOMB,
  ),
  refused(
    'hole: a function of 45,000 locals with a table of 30 branches',
    guestText({
      fields: `(func $f (param i32) (local ${'i64 '.repeat(45_000)}) ${'block '.repeat(30)}
        local.get 0 br_table ${Array.from({ length: 30 }, (_, depth) => depth).join(' ')} ${'end '.repeat(30)})`,
    }),
    BOMB,
  ),
  refused(
    'hole: a function that hands a thousand values from call to call',
    guestText({
      fields: `(func $g (param ${MANY}) (result ${MANY}) unreachable)
        (func $f (result ${MANY}) ${'i32.const 1 '.repeat(1_000)} ${'call $g '.repeat(1_000)})`,
    }),
    BOMB,
  ),
  refused(
    'hole: three hundred functions, none of them too much by itself',
    guestText({ fields: `(func (local ${'i64 '.repeat(45_000)}) (block) (block))`.repeat(300) }),
    /with those before it, more to compile than/,
  ),
  refused('blocks in each other without end', nested, /has a function 9 that has more than 10000 blocks in each other/),
  refused(
    'an instruction of threads',
    guestText({ process: '(i32.atomic.load (i32.const 0))' }),
    /has a function 12 that has an instruction that is not known \(0xfe, byte \d+\)/,
  ),
  refused('nothing at all', () => new Uint8Array(0), /no WebAssembly module/),
  refused('garbage', () => Uint8Array.from({ length: 5_000 }, (_, i) => (i * 7919) & 255), /no WebAssembly module/),
  refused('a component', () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), /no WebAssembly module/),
  refused(
    'garbage behind the header',
    async () => Uint8Array.from([...(await good()).subarray(0, 8), 1, 255, 255, 255, 255, 15]),
    /ends in the middle/,
  ),
  refused('a module cut short', async () => (await good()).subarray(0, 200), /ends in the middle/),
  refused(
    'four thousand million types',
    async () => Uint8Array.from([...(await good()).subarray(0, 8), 1, 5, 255, 255, 255, 255, 15]),
    /types/,
  ),
  refused('two memory sections', async () => Uint8Array.from([...(await good()), 5, 3, 1, 0, 1]), /two sections/),
  refused('a function body that is not valid', async () => brokenBody(await good()), /ends in the middle/),
  refused('a function body whose types do not fit', guestText({ process: '(i64.const 0)' }), /not sound/),
  refused('five megabytes', () => new Uint8Array(5_000_000), /are the most/),
];

/** 20,000 blocks in each other, put where as many bytes of `nop` were: the text would take long to read. */
async function nested(): Promise<Uint8Array> {
  const bytes = await guest({ fields: `(func ${'nop '.repeat(60_000)})` });
  const start = Buffer.from(bytes).indexOf(Buffer.alloc(1_000, 1));
  for (let block = 0; block < 20_000; block++) bytes.set([0x02, 0x40], start + 2 * block);
  return bytes.fill(0x0b, start + 40_000, start + 60_000);
}

function brokenBody(bytes: Uint8Array): Uint8Array {
  const broken = bytes.slice();
  // The last byte of the code section is the end of the last function.
  broken[broken.length - 1] = 0x1f;
  return broken;
}

const DATA = join(import.meta.dirname, '../../../shared/data/wasm');

/** Two of somebody else's, where they are. They are no plugins, and refused. */
export const SHARED: readonly HostileModule[] = ['loop-forever', 'alloc'].map((name) => ({
  name: `${name}.wasm`,
  build: async () => readFileSync(join(DATA, `${name}.wasm`)),
  code: REJECTED,
}));
export const hasShared = existsSync(DATA);

/** `loop-forever.wasm` with the ABI around it. */
export const loopForeverAsGuest: HostileModule = {
  name: 'loop-forever.wasm with the ABI around it',
  build: async () => {
    const text = await toWat(readFileSync(join(DATA, 'loop-forever.wasm')));
    const [, body] = /\(func \(;0;\) \(type 0\)\n([\s\S]*?)\)\n {2}\(export/.exec(text)!;
    return wat(guestText({ fields: `(func $theirs ${body})`, process: '(call $theirs) (i32.const 0)' }));
  },
  code: TIMEOUT,
};
