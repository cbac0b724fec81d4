import {
  AdmissionQueueFullError,
  AdmissionTimeoutError,
  BudgetExceededError,
  checkNumber,
  checkOneOf,
  checkWhole,
  DisposedError,
  invalidOption,
  PlimsollError,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';

const MIB = 1_048_576;
const refusal = {
  consumer: 'thumbnails',
  requestedBytes: 12 * MIB,
  heldBytes: 30 * MIB,
  maxBytes: 64 * MIB,
  reason: 'limit',
  boundBy: 'the whole',
  availableBytes: 1.5 * MIB,
  limitBytes: 96 * MIB,
  holders: [
    { name: 'runtime', kind: 'heap', heldBytes: 43 * MIB, peakBytes: 43 * MIB },
    { name: 'thumbnails', kind: 'external', heldBytes: 30 * MIB, peakBytes: 44 * MIB },
  ],
} as const;

describe('errors', () => {
  it('say who asked, for how much, what is left and who holds it, in one line', () => {
    const error = new BudgetExceededError(refusal);
    expect(error.message).toBe(
      'thumbnails asked for 12MiB and holds 30MiB: 1.5MiB of 96MiB are left; ' +
        'largest holders: runtime 43MiB (peak 43MiB), thumbnails 30MiB (peak 44MiB)',
    );
    expect(error).toMatchObject({ ...refusal, code: 'PLIMSOLL_BUDGET_EXCEEDED', recovery: 'fallback' });
  });

  it('say whose own bound was met', () => {
    const error = new BudgetExceededError({ ...refusal, reason: 'max', boundBy: 'images', holders: [] });
    expect(error.message).toBe('thumbnails asked for 12MiB and holds 30MiB: images has 1.5MiB left of its own bound');
  });

  it('are all of one base with a code and a way on', () => {
    const cause = new Error('disk');
    const errors = [
      new BudgetExceededError({ ...refusal, reason: 'reclaiming' }),
      new AdmissionTimeoutError('feed', MIB, 250.4),
      new AdmissionQueueFullError('feed', 1024),
      new DisposedError('the governor'),
      new PlimsollError('broken', { code: 'PLIMSOLL_TEST', cause }),
    ];
    for (const error of errors) {
      expect(error).toBeInstanceOf(PlimsollError);
      expect(error.code).toMatch(/^PLIMSOLL_[A-Z_]+$/);
      expect(['retry', 'fallback', 'circuit-break', 'fail']).toContain(error.recovery);
      expect(error.message).not.toContain('\n');
      expect(error.name).toBe(error.constructor.name);
    }
    expect(errors[1]!.message).toBe('feed waited 250ms for 1MiB and there was no room');
    expect(errors[4]!.cause).toBe(cause);
  });
});

describe('option checks', () => {
  it('say what was expected, what came and of which type', () => {
    expect(() => checkWhole('limitBytes', -5, 1)).toThrow(
      /^Expected `limitBytes` to be a whole number from 1 up, got `-5` \(number\)$/,
    );
    expect(() => checkWhole('port', '80', 0, 65_535)).toThrow(
      'Expected `port` to be a whole number from 0 to 65535, got `80` (string)',
    );
    expect(() => checkNumber('share', 0, 0, 1)).toThrow(
      'Expected `share` to be a number above 0 and up to 1, got `0` (number)',
    );
    expect(() => checkOneOf('mode', 'loud', ['on', 'off'])).toThrow(
      'Expected `mode` to be one of `on`, `off`, got `loud` (string)',
    );
    expect(() => checkWhole('limitBytes', Object.create(null), 1)).toThrow(RangeError);
    expect(invalidOption('a', 'b', 1)).toMatchObject({ code: 'PLIMSOLL_INVALID_OPTION', recovery: 'fail' });
  });

  it.each([Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 53, null, undefined, 1n])('no whole number: %s', (value) => {
    expect(() => checkWhole('n', value, 0)).toThrow(RangeError);
  });
});
