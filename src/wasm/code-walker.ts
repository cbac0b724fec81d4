/**
 * Goes through the code of one function as a validator does, without types: how high the operand stack is at each instruction, and so what V8's compilers will keep for it.
 *
 * V8's baseline compiler keeps a copy of what it knows of every local and every operand at each place where ways part or meet, and its optimizing compiler does the like. Neither can be
 * interrupted. The sum over a function is called its work here, in entries.
 */
import { type Effect, MORE_EFFECTS, PLAIN_EFFECTS, VECTOR_EFFECTS } from './code-opcodes.ts';
import { type ByteReader, ModuleFault } from './module-sections.ts';

export interface Arity {
  readonly parameters: number;
  readonly results: number;
}

/** What a function may refer to. Undefined where there is none of that number. */
export interface CodeContext {
  readonly ofType: (index: number) => Arity | undefined;
  readonly ofFunction: (index: number) => Arity | undefined;
  readonly ofTag: (index: number) => Arity | undefined;
}

export interface WalkedCode {
  /** Entries that compiling it takes, as estimated. */
  readonly work: number;
  /** Where instructions stand that can take long and are not looked into: bulk ones on memory and tables, what grows them, what throws. */
  readonly slow: readonly number[];
}

/** V8's own bound, parameters included. */
const MAX_LOCALS = 50_000;
const MAX_NESTING = 10_000;
/** Around a call all locals and operands are only looked at, outside of `try`. */
const CALL_SHARE = 1 / 8;
/** And its parameters and results are put in order, each among all. */
const VALUES_SHARE = 1 / 64;
const VALUE_TYPES: ReadonlySet<number> = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f, 0x69]);
const REFERENCE_TYPES: ReadonlySet<number> = new Set([0x70, 0x6f, 0x69]);
const EMPTY_BLOCK = 0x40;
const NOTHING: Arity = { parameters: 0, results: 0 };
const ONE_RESULT: Arity = { parameters: 0, results: 1 };

interface Block {
  readonly sort: 'function' | 'block' | 'if' | 'try';
  /** Height of the stack below its parameters. */
  readonly base: number;
  readonly arity: Arity;
  /** Behind a branch that is always taken, up to its end. */
  isDead: boolean;
  /** Number of the last table of branches that led to it. */
  table: number;
}

/** Walks from behind the size of a body to its end. Throws `ModuleFault` without saying in which function. */
export function walkCode(reader: ByteReader, arity: Arity, context: CodeContext, mostWork: number): WalkedCode {
  return new CodeWalker(reader, arity, context, mostWork).walk();
}

class CodeWalker {
  readonly #reader: ByteReader;
  readonly #context: CodeContext;
  readonly #mostWork: number;
  readonly #slow: number[] = [];
  readonly #blocks: Block[] = [];
  #block: Block;
  #height = 0;
  #locals: number;
  #work = 0;
  #tries = 0;
  #tables = 0;

  constructor(reader: ByteReader, arity: Arity, context: CodeContext, mostWork: number) {
    this.#reader = reader;
    this.#context = context;
    this.#mostWork = mostWork;
    this.#locals = arity.parameters;
    const results = { parameters: 0, results: arity.results };
    this.#block = { sort: 'function', base: 0, arity: results, isDead: false, table: 0 };
    this.#blocks.push(this.#block);
  }

  walk(): WalkedCode {
    this.#readLocals();
    this.#charge(this.#locals);
    const reader = this.#reader;
    while (this.#blocks.length > 0) {
      const start = reader.at;
      const opcode = reader.byte();
      const effect = PLAIN_EFFECTS[opcode];
      if (effect !== undefined) {
        if (opcode === 0x40) this.#slow.push(start);
        if (opcode === 0x40 || opcode === 0x25 || opcode === 0x26 || opcode === 0xd2) this.#call(NOTHING);
        this.#apply(effect);
      } else if (!this.#control(opcode, start) && !this.#calls(opcode) && !this.#prefixed(opcode, start)) {
        throw new ModuleFault(`has an instruction that is not known (0x${opcode.toString(16)}, byte ${start})`);
      }
    }
    if (reader.left > 0) throw new ModuleFault('goes on behind its end');
    return { work: this.#work, slow: this.#slow };
  }

  #readLocals(): void {
    for (let groups = this.#reader.count('groups of locals', MAX_LOCALS, 2); groups > 0; groups--) {
      this.#locals += this.#reader.u32();
      if (this.#locals > MAX_LOCALS) throw new ModuleFault(`has more than ${MAX_LOCALS} locals`);
      this.#valueType();
    }
  }

  #charge(work: number): void {
    this.#work += work;
    if (this.#work > this.#mostWork) {
      throw new ModuleFault(`takes more to compile than ${this.#mostWork} locals and operands at branches`);
    }
  }

  #chargeBranch(): void {
    this.#charge(this.#locals + this.#height + 1);
  }

  /** What any call does, and what is like one. */
  #call({ parameters, results }: Arity): void {
    const around = this.#locals + this.#height + 1;
    const values = parameters + results;
    this.#charge((this.#tries > 0 ? around : around * CALL_SHARE) + values + values * values * VALUES_SHARE);
  }

  #apply({ immediate, pops, pushes }: Effect): void {
    const reader = this.#reader;
    switch (immediate) {
      case 'none':
        break;
      case 'byte':
        reader.skip(1);
        break;
      case 'index':
        reader.u32();
        break;
      case 'indices':
        reader.u32();
        reader.u32();
        break;
      case 'address':
      case 'lane':
        // With that bit set the number of a memory follows.
        if ((reader.u32() & 0x40) !== 0) reader.u32();
        reader.u32();
        if (immediate === 'lane') reader.skip(1);
        break;
      case 'i32':
        reader.skipLeb(5);
        break;
      case 'i64':
        reader.skipLeb(10);
        break;
      default:
        reader.skip(Number(immediate));
    }
    this.#pop(pops);
    this.#height += pushes;
  }

  #pop(count: number): void {
    const { base, isDead } = this.#block;
    this.#height -= count;
    if (this.#height >= base) return;
    if (!isDead) throw new ModuleFault('takes more from its stack than there is');
    this.#height = base;
  }

  #die(): void {
    this.#block.isDead = true;
    this.#height = this.#block.base;
  }

  #enter(sort: Block['sort'], arity: Arity): void {
    if (this.#blocks.length >= MAX_NESTING) throw new ModuleFault(`has more than ${MAX_NESTING} blocks in each other`);
    this.#pop(arity.parameters);
    this.#block = { sort, base: this.#height, arity, isDead: false, table: 0 };
    this.#blocks.push(this.#block);
    this.#height += arity.parameters;
    if (sort === 'try') this.#tries++;
    this.#chargeBranch();
  }

  /** Another part of the same block begins, with so many values. */
  #nextPart(values: number): void {
    this.#checkHeight();
    this.#block.isDead = false;
    this.#height = this.#block.base + values;
    this.#chargeBranch();
  }

  #leave(): void {
    this.#checkHeight();
    const { sort, base, arity } = this.#blocks.pop()!;
    if (sort === 'try') this.#tries--;
    this.#height = base + arity.results;
    const outer = this.#blocks.at(-1);
    if (outer !== undefined) this.#block = outer;
  }

  /** So that no height is believed that V8 would not find as well. */
  #checkHeight(): void {
    const { base, arity, isDead } = this.#block;
    const wanted = base + arity.results;
    if (isDead ? this.#height > wanted : this.#height !== wanted)
      throw new ModuleFault('leaves something else on its stack than it says');
  }

  #branchTo(depth: number): void {
    if (depth >= this.#blocks.length) throw new ModuleFault('branches to a block that is not there');
    this.#chargeBranch();
  }

  /** Blocks and branches. False where it is none. */
  #control(opcode: number, start: number): boolean {
    const reader = this.#reader;
    switch (opcode) {
      case 0x00:
        this.#die();
        return true;
      case 0x02:
      case 0x03:
        this.#enter('block', this.#blockType());
        return true;
      case 0x04: {
        const arity = this.#blockType();
        this.#pop(1);
        this.#enter('if', arity);
        return true;
      }
      case 0x05:
        if (this.#block.sort !== 'if') throw new ModuleFault('has an `else` without its `if`');
        this.#nextPart(this.#block.arity.parameters);
        return true;
      case 0x0b:
        this.#leave();
        return true;
      case 0x0c:
        this.#branchTo(reader.u32());
        this.#die();
        return true;
      case 0x0d:
        this.#pop(1);
        this.#branchTo(reader.u32());
        return true;
      case 0x0e:
        this.#pop(1);
        this.#branchTable();
        return true;
      case 0x0f:
        this.#chargeBranch();
        this.#die();
        return true;
      default:
        return this.#exceptions(opcode, start);
    }
  }

  #branchTable(): void {
    const table = ++this.#tables;
    for (let left = this.#reader.count('branches in a table', Number.POSITIVE_INFINITY) + 1; left > 0; left--) {
      const depth = this.#reader.u32();
      const block = this.#blocks[this.#blocks.length - 1 - depth];
      if (block?.table === table) continue;
      this.#branchTo(depth);
      block!.table = table;
    }
    this.#die();
  }

  /** Those of old (`try`, `catch`, `delegate`, `rethrow`) and of new (`try_table`, `throw_ref`). */
  #exceptions(opcode: number, start: number): boolean {
    const reader = this.#reader;
    switch (opcode) {
      case 0x06:
        this.#enter('try', this.#blockType());
        return true;
      case 0x07:
      case 0x19: {
        const caught = opcode === 0x07 ? this.#tag().parameters : 0;
        if (this.#block.sort !== 'try') throw new ModuleFault('has a `catch` without its `try`');
        this.#nextPart(caught);
        return true;
      }
      case 0x08:
      case 0x09:
      case 0x0a:
        this.#slow.push(start);
        this.#call(opcode === 0x08 ? this.#tag() : NOTHING);
        if (opcode === 0x09) this.#branchTo(reader.u32());
        this.#die();
        return true;
      case 0x18:
        if (this.#block.sort !== 'try') throw new ModuleFault('has a `delegate` without its `try`');
        this.#branchTo(reader.u32());
        this.#leave();
        return true;
      case 0x1f: {
        const arity = this.#blockType();
        for (let left = reader.count('catches', Number.POSITIVE_INFINITY, 2); left > 0; left--) {
          const sort = reader.byte();
          if (sort > 3) throw new ModuleFault('has a catch of an unknown sort');
          if (sort < 2) this.#tag();
          this.#branchTo(reader.u32());
        }
        this.#enter('try', arity);
        return true;
      }
      default:
        return false;
    }
  }

  /** Calls, and the two others whose operands differ. */
  #calls(opcode: number): boolean {
    const reader = this.#reader;
    switch (opcode) {
      case 0x10:
      case 0x12:
        this.#callOf(this.#context.ofFunction(reader.u32()), opcode === 0x12);
        return true;
      case 0x11:
      case 0x13: {
        const arity = this.#context.ofType(reader.u32());
        reader.u32();
        this.#pop(1);
        this.#callOf(arity, opcode === 0x13);
        return true;
      }
      case 0x1c:
        for (let left = reader.count('types of a choice', 1); left > 0; left--) this.#valueType();
        this.#pop(3);
        this.#height++;
        return true;
      case 0xd0:
        if (!REFERENCE_TYPES.has(reader.byte())) throw new ModuleFault('has a reference of a sort that is not taken');
        this.#height++;
        return true;
      default:
        return false;
    }
  }

  #callOf(arity: Arity | undefined, isLast: boolean): void {
    if (arity === undefined) throw new ModuleFault('calls a function that is not there');
    this.#call(arity);
    this.#pop(arity.parameters);
    if (isLast) this.#die();
    else this.#height += arity.results;
  }

  #prefixed(opcode: number, start: number): boolean {
    if (opcode !== 0xfc && opcode !== 0xfd) return false;
    const more = this.#reader.u32();
    const effect = (opcode === 0xfc ? MORE_EFFECTS : VECTOR_EFFECTS)[more];
    if (effect === undefined) return false;
    if (opcode === 0xfc && more >= 8) {
      this.#call(NOTHING);
      if (effect.pops > 0) this.#slow.push(start);
    }
    this.#apply(effect);
    return true;
  }

  #tag(): Arity {
    const tag = this.#context.ofTag(this.#reader.u32());
    if (tag === undefined) throw new ModuleFault('names an exception that is not there');
    return tag;
  }

  #valueType(): void {
    const byte = this.#reader.byte();
    if (!VALUE_TYPES.has(byte)) {
      throw new ModuleFault(`has a value of a sort that is not taken (0x${byte.toString(16)})`);
    }
  }

  /** Nothing, one value, or the number of a type: a signed number of 33 bits that is not below 0. */
  #blockType(): Arity {
    const reader = this.#reader;
    const first = reader.bytes[reader.at] ?? 0;
    if (first === EMPTY_BLOCK) {
      reader.skip(1);
      return NOTHING;
    }
    if (first > EMPTY_BLOCK && first < 0x80) {
      this.#valueType();
      return ONE_RESULT;
    }
    const arity = this.#context.ofType(reader.u32());
    if (arity === undefined || (reader.bytes[reader.at - 1]! & 0x40) !== 0)
      throw new ModuleFault('has a block of a type that is not there');
    return arity;
  }
}
