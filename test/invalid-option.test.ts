import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkKnownOptions } from '../src/invalid-option.ts';

const known = ['limitBytes', 'runtimeBytes', 'maxWaiters', 'maxConsumers', 'clock', 'share'];
const refusal = (given: object) => {
  try {
    checkKnownOptions('createGovernor', given, known);
  } catch (error) {
    return error as RangeError;
  }
  return undefined;
};

describe('options that nobody knows', () => {
  it.each([
    ['limitbytes', 'limitBytes'],
    ['limitByte', 'limitBytes'],
    ['limit_bytes', 'limitBytes'],
    ['lmiitBytes', 'limitBytes'],
    ['maxWaiter', 'maxWaiters'],
    ['colck', 'clock'],
    ['shar', 'share'],
    ['limit', 'limitBytes'],
  ])('`%s` was probably `%s`', (name, meant) => {
    const error = refusal({ limitBytes: 1, [name]: 2 });
    expect(error).toBeInstanceOf(RangeError);
    expect(error?.message).toBe(`Unknown option \`${name}\` of createGovernor: did you mean \`${meant}\`?`);
    expect(error).toMatchObject({ code: 'PLIMSOLL_INVALID_OPTION', recovery: 'fail' });
  });

  it('without one that is like it, all are named, up to twelve', () => {
    expect(refusal({ verbose: true })?.message).toBe(
      'Unknown option `verbose` of createGovernor: it takes `limitBytes`, `runtimeBytes`, `maxWaiters`, `maxConsumers`, `clock`, `share`',
    );
    const many = Array.from({ length: 20 }, (_, i) => `option${i}`);
    expect(() => checkKnownOptions('it', { verbose: 1 }, many)).toThrow(/`option11` and 8 more$/);
    expect(() => checkKnownOptions('it', { verbose: 1 }, [])).toThrow('of it: it takes none');
  });

  it('one that several begin with could be any of them', () => {
    expect(refusal({ max: 1 })?.message).toContain('it takes `limitBytes`');
  });

  it('is one line, however long the name', () => {
    expect(refusal({ ['x'.repeat(1_000_000)]: 1 })?.message.length).toBeLessThan(250);
  });

  it.each([null, 5, 'x', undefined])('what is no object is refused: %s', (given) => {
    expect(() => checkKnownOptions('createGovernor', given as never, known)).toThrow(
      'Expected `options of createGovernor` to be an object',
    );
  });

  it('known ones pass, given or undefined; what is inherited is not looked at', () => {
    expect(refusal({ limitBytes: 1, share: undefined })).toBeUndefined();
    expect(refusal(Object.create({ verbose: true }))).toBeUndefined();
  });

  it('one edit in a name is always understood', () => {
    const edit = fc.record({ at: fc.nat(9), letter: fc.constantFrom('q', 'z', 'X', ''), cut: fc.nat(1) });
    fc.assert(
      fc.property(fc.constantFrom(...known), edit, (name, { at, letter, cut }) => {
        const edited = name.slice(0, at) + letter + name.slice(at + cut);
        fc.pre(!known.includes(edited));
        expect(refusal({ [edited]: 1 })?.message).toMatch(`did you mean \`${name}\`?`);
      }),
    );
  });
});
