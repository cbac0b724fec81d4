/**
 * What a module is made of, as far as the host must know it before it lets V8 have it, and what the host refuses. The rest is for V8 to judge: whether the code is valid, whether sections
 * stand in order. Types other than functions, references other than to functions in tables, 64-bit and shared memories are refused by not being known, so that nothing can grow
 * but the one memory and the tables, and both have a maximum.
 */
import { withoutControlCharacters } from '../control-characters.ts';
import { HOST_EXPORTS, HOST_FUNCTIONS, OPTIONAL_EXPORTS, REQUIRED_EXPORTS } from './abi-contract.ts';
import { ByteReader, ModuleFault, type ModuleSection, readSections, SECTION } from './module-sections.ts';

/** Of a memory or table: as they are, and where they stand in the bytes. */
export interface Limits {
  readonly min: number;
  readonly max: number | undefined;
  readonly start: number;
  readonly end: number;
}

export interface ModuleShape {
  readonly sections: readonly ModuleSection[];
  readonly memory: Limits;
  readonly memoryImported: boolean;
  readonly tables: readonly Limits[];
  /** Numbers of the globals that can be changed. */
  readonly mutableGlobals: readonly number[];
  /** Where the count of the exports stands, and how many there are. */
  readonly exportCount: { readonly start: number; readonly end: number; readonly value: number };
  /** Of the optional exports, those that it has. */
  readonly optional: ReadonlySet<string>;
}

export const MAX_TABLE_ELEMENTS = 65_536;
const MAX_PAGES = 65_536;
const MAX_TYPES = 20_000;
const MAX_IMPORTS = 100;
const MAX_FUNCTIONS = 100_000;
const MAX_GLOBALS = 10_000;
const MAX_EXPORTS = 10_000;
const MAX_TABLES = 4;
const MAX_PARAMETERS = 1_000;
const MAX_TAGS = 100;
/** What an exception carries is in V8's heap, 64 bytes for each at most, and a guest can hold as many exceptions as its stack has frames. */
const MAX_CARRIED = 8;
const LONGEST_SHOWN = 80;

const FUNCTION_TYPE = 0x60;
const FUNCTION_REFERENCE = 0x70;
const VALUE_TYPES: Readonly<Record<number, string>> = {
  127: 'i32',
  126: 'i64',
  125: 'f32',
  124: 'f64',
  123: 'v128',
  [FUNCTION_REFERENCE]: 'funcref',
  111: 'externref',
};
const KINDS = ['function', 'table', 'memory', 'global', 'tag'] as const;

/** Types of functions, as they are numbered, with those that are imported first. */
export interface ModuleSignatures {
  readonly types: readonly string[];
  readonly importedFunctions: readonly number[];
  readonly ownFunctions: Uint32Array;
  readonly tags: readonly number[];
}

/** Throws `ModuleFault`. About as long as V8 takes to validate it, and less; kept from the bytes are a few numbers. */
export function readModuleShape(bytes: Uint8Array): ModuleShape {
  return readModule(bytes).shape;
}

/** The shape, and what is needed to go through the code. Throws `ModuleFault`. */
export function readModule(bytes: Uint8Array): { shape: ModuleShape; signatures: ModuleSignatures } {
  const sections = readSections(bytes);
  const reader = (id: number): ByteReader | undefined => {
    const section = sections.find((each) => each.id === id);
    return section && new ByteReader(bytes, section.contentStart, section.end);
  };
  const types = readTypes(reader(SECTION.type));
  const imports = readImports(reader(SECTION.import), types);
  const own = readFunctions(reader(SECTION.function));
  const tags = readTags(reader(SECTION.tag), types);
  const memories = [...imports.memories, ...readMemories(reader(SECTION.memory))];
  if (memories.length > 1) throw new ModuleFault(`has ${memories.length} memories, and 1 is the most`);
  if (memories.length === 0) throw new ModuleFault('has no memory');
  const signatureOf = (index: number): string | undefined => {
    const type = index < imports.functions.length ? imports.functions[index] : own[index - imports.functions.length];
    return type === undefined ? undefined : types[type];
  };
  const shape: ModuleShape = {
    sections,
    memory: memories[0]!,
    memoryImported: imports.memories.length > 0,
    tables: readTables(reader(SECTION.table)),
    mutableGlobals: readGlobals(reader(SECTION.global)),
    ...checkExports(reader(SECTION.export), signatureOf, imports.memories.length > 0),
  };
  return { shape, signatures: { types, importedFunctions: imports.functions, ownFunctions: own, tags } };
}

function readTypes(reader: ByteReader | undefined): string[] {
  if (reader === undefined) return [];
  return Array.from({ length: reader.count('types', MAX_TYPES, 3) }, () => {
    const form = reader.byte();
    if (form !== FUNCTION_TYPE) throw new ModuleFault(`has a type that is no function (0x${form.toString(16)})`);
    const parameters = readValueTypes(reader, 'parameters');
    const results = readValueTypes(reader, 'results');
    return [...parameters, '->', ...results].join(' ');
  });
}

function readValueTypes(reader: ByteReader, what: string): string[] {
  return Array.from({ length: reader.count(what, MAX_PARAMETERS) }, () => valueType(reader.byte()));
}

function valueType(byte: number): string {
  const name = VALUE_TYPES[byte];
  if (name === undefined) throw new ModuleFault(`has a value of a sort that is not taken (0x${byte.toString(16)})`);
  return name;
}

function readImports(reader: ByteReader | undefined, types: readonly string[]) {
  const functions: number[] = [];
  const memories: Limits[] = [];
  for (let left = reader?.count('imports', MAX_IMPORTS, 4) ?? 0; left > 0; left--) {
    const from = reader!.text();
    const name = reader!.text();
    const kind = KINDS[reader!.byte()];
    const shown = `\`${shownName(`${from}.${name}`)}\``;
    if (kind === 'memory' && from === 'env' && name === 'memory') {
      memories.push(readLimits(reader!, 'memory', MAX_PAGES));
      continue;
    }
    const expected = kind === 'function' && from === 'plimsoll' && Object.hasOwn(HOST_FUNCTIONS, name);
    if (!expected) throw new ModuleFault(`imports ${shown} (${kind ?? 'unknown'}), which the host does not give`);
    const type = reader!.u32();
    if (types[type] !== HOST_FUNCTIONS[name]) {
      throw new ModuleFault(
        `imports ${shown} as (${shownName(types[type] ?? 'no type')}), and it is (${HOST_FUNCTIONS[name]})`,
      );
    }
    functions.push(type);
  }
  return { functions, memories };
}

function readFunctions(reader: ByteReader | undefined): Uint32Array {
  const types = new Uint32Array(reader?.count('functions', MAX_FUNCTIONS) ?? 0);
  for (let index = 0; index < types.length; index++) types[index] = reader!.u32();
  return types;
}

function readTags(reader: ByteReader | undefined, types: readonly string[]): number[] {
  return Array.from({ length: reader?.count('tags', MAX_TAGS, 2) ?? 0 }, () => {
    reader!.byte();
    const type = reader!.u32();
    const carried = (types[type] ?? '').split(' ').indexOf('->');
    if (carried > MAX_CARRIED) {
      throw new ModuleFault(`has an exception that carries ${carried} values, and ${MAX_CARRIED} are the most`);
    }
    return type;
  });
}

function readMemories(reader: ByteReader | undefined): Limits[] {
  const length = reader?.count('memories', 1, 2) ?? 0;
  return Array.from({ length }, () => readLimits(reader!, 'memory', MAX_PAGES));
}

function readTables(reader: ByteReader | undefined): Limits[] {
  return Array.from({ length: reader?.count('tables', MAX_TABLES, 3) ?? 0 }, () => {
    if (reader!.byte() !== FUNCTION_REFERENCE) throw new ModuleFault('has a table of something else than functions');
    const limits = readLimits(reader!, 'table', Number.POSITIVE_INFINITY);
    if (limits.min > MAX_TABLE_ELEMENTS) {
      throw new ModuleFault(`has a table of ${limits.min} elements, and ${MAX_TABLE_ELEMENTS} are the most`);
    }
    return limits;
  });
}

/** Flags other than 0 and 1 stand for shared, 64 bits and pages of another size. */
function readLimits(reader: ByteReader, what: string, most: number): Limits {
  const start = reader.at;
  const flags = reader.byte();
  if (flags > 7 || (flags & 4) !== 0) throw new ModuleFault(`has a ${what} of 64 bits or of an unknown sort`);
  if ((flags & 2) !== 0) throw new ModuleFault(`has a shared ${what}`);
  const min = reader.u32();
  const max = flags === 1 ? reader.u32() : undefined;
  if (min > most || (max ?? 0) > most || min > (max ?? min)) {
    throw new ModuleFault(`has a ${what} whose limits make no sense`);
  }
  return { min, max, start, end: reader.at };
}

function readGlobals(reader: ByteReader | undefined): number[] {
  const mutable: number[] = [];
  const count = reader?.count('globals', MAX_GLOBALS, 4) ?? 0;
  for (let index = 0; index < count; index++) {
    valueType(reader!.byte());
    if (reader!.byte() !== 0) mutable.push(index);
    skipInitialValue(reader!);
  }
  return mutable;
}

/** Constants, references and sums of them, up to the end. */
function skipInitialValue(reader: ByteReader): void {
  for (;;) {
    const opcode = reader.byte();
    if (opcode === 0x0b) return;
    if (opcode === 0x41 || opcode === 0x23 || opcode === 0xd0 || opcode === 0xd2) reader.skipLeb(5);
    else if (opcode === 0x42) reader.skipLeb(10);
    else if (opcode === 0x43) reader.skip(4);
    else if (opcode === 0x44) reader.skip(8);
    else if (opcode === 0xfd && reader.u32() === 12) reader.skip(16);
    else if (!(opcode >= 0x6a && opcode <= 0x6c) && !(opcode >= 0x7c && opcode <= 0x7e)) {
      throw new ModuleFault('has a global whose first value is no constant');
    }
  }
}

function checkExports(
  reader: ByteReader | undefined,
  signatureOf: (index: number) => string | undefined,
  memoryImported: boolean,
): Pick<ModuleShape, 'exportCount' | 'optional'> {
  if (reader === undefined) throw new ModuleFault('exports nothing');
  const start = reader.at;
  const value = reader.count('exports', MAX_EXPORTS, 3);
  const end = reader.at;
  const missing = new Set(Object.keys(REQUIRED_EXPORTS));
  if (!memoryImported) missing.add('memory');
  const optional = new Set<string>();
  for (let left = value; left > 0; left--) {
    const name = reader.text();
    const kind = KINDS[reader.byte()];
    const index = reader.u32();
    if (name.startsWith(HOST_EXPORTS)) throw new ModuleFault(`exports \`${shownName(name)}\`, a name of the host's`);
    const expected = expectedExport(name);
    if (expected === undefined) continue;
    const found = kind === 'function' ? signatureOf(index) : kind;
    if (found !== expected)
      throw new ModuleFault(`exports \`${name}\` as (${shownName(found ?? 'no type')}), and it is to be (${expected})`);
    missing.delete(name);
    if (Object.hasOwn(OPTIONAL_EXPORTS, name)) optional.add(name);
  }
  if (missing.size > 0)
    throw new ModuleFault(`does not export ${[...missing].map((name) => `\`${name}\``).join(', ')}`);
  return { exportCount: { start, end, value }, optional };
}

/** Short, and without what would act on a terminal. */
function shownName(name: string): string {
  const clean = withoutControlCharacters(name);
  return clean.length > LONGEST_SHOWN ? `${clean.slice(0, LONGEST_SHOWN)}...` : clean;
}

function expectedExport(name: string): string | undefined {
  if (name === 'memory') return 'memory';
  for (const each of [REQUIRED_EXPORTS, OPTIONAL_EXPORTS]) if (Object.hasOwn(each, name)) return each[name];
  return undefined;
}
