import { type Arity, type CodeContext, walkCode } from './code-walker.ts';
import { ByteReader, encodeU32, ModuleFault, SECTION } from './module-sections.ts';
import { type ModuleShape, type ModuleSignatures, readModule } from './module-shape.ts';

/**
 * The most work that compiling a function may be, and all of them together, in entries of `WalkedCode`. The worst functions found below it took 0.46 s and 35 MiB to compile, a module of
 * them 2.4 s, in pieces that can be interrupted. The largest function of twenty modules that are in use has 225,000, the densest module 4.1 for a byte of its code.
 */
export const MAX_FUNCTION_WORK = 2_000_000;
export const MAX_MODULE_WORK = 32_000_000;

const TICK_TYPE = 'i32 ->';
/** (type (func (param i32))) */
const TICK_TYPE_BYTES = [0x60, 1, 0x7f, 0];
const CONST_0 = [0x41, 0x00];
const CALL = 0x10;

export interface CheckedModule {
  readonly bytes: Uint8Array;
  readonly shape: ModuleShape;
}

/**
 * Looks at a module whole, and at its code instruction by instruction, and gives it with its code changed: before each instruction that can take long without V8 looking whether it is to end
 * stands a call of a function that the host adds behind all others. V8 looks at the beginning of each function, so a loop over such instructions ends within one of them. All else
 * is as it was, numbers of functions included. A module without such instructions is given back as it is.
 * @throws ModuleFault
 */
export function checkModule(bytes: Uint8Array): CheckedModule {
  const { shape, signatures } = readModule(bytes);
  const limited = limitCode(bytes, shape, signatures);
  if (limited === bytes) return { bytes, shape };
  // What is not sound as it came must not become so by what is added: a number one behind the last function, say.
  if (!WebAssembly.validate(bytes)) throw new ModuleFault('is not sound WebAssembly');
  return { bytes: limited, shape: readModule(limited).shape };
}

interface Body {
  /** Behind its size. */
  readonly start: number;
  readonly end: number;
  readonly slow: readonly number[];
}

function limitCode(bytes: Uint8Array, shape: ModuleShape, signatures: ModuleSignatures): Uint8Array {
  const bodies = walkBodies(bytes, shape, signatures);
  if (!bodies.some(({ slow }) => slow.length > 0)) return bytes;
  const { types, importedFunctions, ownFunctions } = signatures;
  const tick = importedFunctions.length + ownFunctions.length;
  const known = types.indexOf(TICK_TYPE);
  const type = known >= 0 ? known : types.length;
  const pieces: Uint8Array[] = [bytes.subarray(0, 8)];
  for (const { id, start, contentStart, end } of shape.sections) {
    if (id === SECTION.type && known < 0) {
      pieces.push(...withOneMore(bytes, id, contentStart, end, TICK_TYPE_BYTES));
    } else if (id === SECTION.function) {
      pieces.push(...withOneMore(bytes, id, contentStart, end, encodeU32(type)));
    } else if (id === SECTION.code) {
      pieces.push(...section(id, codeWith(bytes, bodies, tick)));
    } else {
      pieces.push(bytes.subarray(start, end));
    }
  }
  return Buffer.concat(pieces);
}

/** Each function's code, walked. */
function walkBodies(bytes: Uint8Array, shape: ModuleShape, signatures: ModuleSignatures): Body[] {
  const { importedFunctions, ownFunctions, types, tags } = signatures;
  const code = shape.sections.find(({ id }) => id === SECTION.code);
  const reader = code && new ByteReader(bytes, code.contentStart, code.end);
  const count = reader?.u32() ?? 0;
  if (count !== ownFunctions.length)
    throw new ModuleFault(`has ${ownFunctions.length} functions, and code for ${count}`);
  const arities = types.map(arityOf);
  const context: CodeContext = {
    ofType: (index) => arities[index],
    ofFunction: (index) => {
      const imported = importedFunctions.length;
      const type = index < imported ? importedFunctions[index] : ownFunctions[index - imported];
      return type === undefined ? undefined : arities[type];
    },
    ofTag: (index) => (tags[index] === undefined ? undefined : arities[tags[index]]),
  };
  let work = 0;
  return Array.from(ownFunctions, (type, index) => {
    const size = reader!.u32();
    const start = reader!.at;
    reader!.skip(size);
    const body = new ByteReader(bytes, start, start + size);
    const arity = arities[type];
    if (arity === undefined) throw new ModuleFault('has a function of a type that is not there');
    try {
      const walked = walkCode(body, arity, context, MAX_FUNCTION_WORK);
      work += walked.work;
      if (work > MAX_MODULE_WORK)
        throw new ModuleFault(`takes, with those before it, more to compile than ${MAX_MODULE_WORK}`);
      return { start, end: body.end, slow: walked.slow };
    } catch (cause) {
      throw new ModuleFault(`has a function ${importedFunctions.length + index} that ${(cause as Error).message}`);
    }
  });
}

function arityOf(type: string): Arity {
  const values = type.split(' ');
  const parameters = values.indexOf('->');
  return { parameters, results: values.length - parameters - 1 };
}

function codeWith(bytes: Uint8Array, bodies: readonly Body[], tick: number): Uint8Array[] {
  const call = Uint8Array.from([...CONST_0, CALL, ...encodeU32(tick)]);
  // No locals; if its parameter is not 0 it calls itself. It never is, but so V8 finds a call in it, and does not leave out the look at its beginning.
  const own = [0x00, 0x20, 0x00, 0x04, 0x40, ...call, 0x0b, 0x0b];
  const pieces: Uint8Array[] = [Uint8Array.from(encodeU32(bodies.length + 1))];
  for (const { start, end, slow } of bodies) {
    pieces.push(Uint8Array.from(encodeU32(end - start + slow.length * call.length)));
    let at = start;
    for (const place of slow) {
      pieces.push(bytes.subarray(at, place), call);
      at = place;
    }
    pieces.push(bytes.subarray(at, end));
  }
  pieces.push(Uint8Array.from([...encodeU32(own.length), ...own]));
  return pieces;
}

/** A section that is a list, with one more at its end. */
function withOneMore(bytes: Uint8Array, id: number, start: number, end: number, more: readonly number[]): Uint8Array[] {
  const reader = new ByteReader(bytes, start, end);
  const count = reader.u32();
  return section(id, [Uint8Array.from(encodeU32(count + 1)), bytes.subarray(reader.at, end), Uint8Array.from(more)]);
}

function section(id: number, content: readonly Uint8Array[]): Uint8Array[] {
  const length = content.reduce((sum, piece) => sum + piece.byteLength, 0);
  return [Uint8Array.of(id, ...encodeU32(length)), ...content];
}
