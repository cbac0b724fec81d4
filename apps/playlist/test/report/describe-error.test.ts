import { BudgetExceededError } from 'plimsoll';
import { StageError } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { OutputError } from '../../src/output/output-error.ts';
import { describeError, exitCodeOf } from '../../src/report/describe-error.ts';
import { compileRule } from '../../src/rules/compile-rule.ts';

const caught = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
};
const inStage = (error: unknown) => StageError.from(error, 'Numbering', new AbortController().signal);

describe('errors in the user’s words', () => {
  it('a mistake in the configuration: a line each, exit code 2', () => {
    const error = new ConfigError(['my.toml: a', 'my.toml: b']);
    expect(describeError(error)).toBe('my.toml: a\nmy.toml: b');
    expect(exitCodeOf(error)).toBe(2);
  });

  it('a mistake in a rule: where, what, and the place under a caret', () => {
    const error = caught(() => compileRule({ set: 'groop_title = "x"' }, { label: 'rule 1' }));
    const [message, text, caret] = describeError(error).split('\n');
    expect(message).toMatch(/^rule 1, column 1: .*did you mean 'group_title'/);
    expect(text).toBe('groop_title = "x"');
    expect(caret).toBe('^');
    expect(exitCodeOf(error)).toBe(2);
  });

  it('what failed in a stage is told without the stage, and without credentials', () => {
    const error = inStage(new OutputError('/out/home.m3u8', Object.assign(new Error('x'), { code: 'ENOSPC' })));
    expect(describeError(error)).toMatch(
      /^cannot write \/out\/home.m3u8: there is no space left .* The old files are untouched\.$/,
    );
    expect(exitCodeOf(error)).toBe(1);
    const leaky = inStage(Object.assign(new Error('GET http://bob:hunter2@tv.example/x failed'), { code: 'X' }));
    expect(describeError(leaky)).not.toMatch(/bob|hunter2/);
  });

  it.each([
    ['Numbering', /--memory-limit\); the old files are untouched\.$/],
    ['guide channels', /--memory-limit\), or set \[matching\] by_name = false: .*; the old files are untouched\.$/],
  ])('no room for %s: says what helps', (consumer, helps) => {
    const error = new BudgetExceededError({
      consumer,
      requestedBytes: 1000,
      heldBytes: 0,
      maxBytes: 1,
      reason: 'limit',
      boundBy: 'the whole',
      availableBytes: 0,
      limitBytes: 5000,
      holders: [],
    });
    expect(describeError(inStage(error))).toMatch(/^out of memory budget: [^\n]* asked [^\n]*$/);
    expect(describeError(inStage(error))).toMatch(helps);
    expect(exitCodeOf(error)).toBe(1);
  });

  it('signals are 130 and 143', () => {
    expect(exitCodeOf('SIGINT')).toBe(130);
    expect(exitCodeOf('SIGTERM')).toBe(143);
    expect(describeError('SIGINT')).toMatch(/^interrupted by SIGINT/);
  });

  it('a fault of the program shows its stack, for whoever has to mend it', () => {
    expect(describeError(new TypeError('x is undefined'))).toMatch(/fault of the program[\s\S]*describe-error\.test/);
    expect(exitCodeOf(new TypeError('x'))).toBe(1);
  });
});
