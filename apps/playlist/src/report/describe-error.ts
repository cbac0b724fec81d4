import { EXIT } from '../exit-codes.ts';
import { RuleError } from '../rules/rule-error.ts';
import { maskText } from '../sources/mask.ts';

/** What a user's mistake is known by; everything else that fails is a failure of the run. */
const MISTAKES = new Set(['PLIMSOLL_PLAYLIST_CONFIG', 'PLIMSOLL_PLAYLIST_RULE_INVALID', 'PLIMSOLL_PLAYLIST_ALIASES']);

/** What else helps, by who asked. */
const WAYS_OUT: Readonly<Record<string, string>> = {
  'guide channels': ', or set [matching] by_name = false: matching by name takes half of it',
};

/** An error in the user's words: one line for each problem, no credentials, and no stack unless the fault is the program's own. */
export function describeError(error: unknown): string {
  if (isSignal(error)) return `interrupted by ${error}: the old files are untouched`;
  const cause = rootOf(error);
  if (!(cause instanceof Error)) return maskText(String(cause));
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'PLIMSOLL_BUDGET_EXCEEDED') {
    const wayOut = WAYS_OUT[(cause as { readonly consumer?: string }).consumer ?? ''] ?? '';
    return `out of memory budget: ${cause.message}. Raise [memory] limit (or --memory-limit)${wayOut}; the old files are untouched.`;
  }
  if (code === undefined && cause.stack !== undefined)
    return `this is a fault of the program, please report it: ${maskText(cause.stack)}`;
  return maskText(cause instanceof RuleError ? `${cause.message}\n${cause.excerpt}` : cause.message);
}

/** 2 for a mistake in files or flags, 130 and 143 for signals, 1 for the rest. */
export function exitCodeOf(error: unknown): number {
  if (error === 'SIGINT') return EXIT.interrupted;
  if (isSignal(error)) return EXIT.terminated;
  const { code } = rootOf(error) as { readonly code?: string };
  return code !== undefined && MISTAKES.has(code) ? EXIT.usage : EXIT.failed;
}

function isSignal(error: unknown): error is string {
  return error === 'SIGINT' || error === 'SIGTERM';
}

/** A stage says in which part it failed; the user wants to know what. Known by its code: the class would load the pipeline into the process that only reads the configuration. */
function rootOf(error: unknown): unknown {
  const isOfStage = error instanceof Error && (error as NodeJS.ErrnoException).code === 'PLIMSOLL_STAGE_FAILED';
  return isOfStage ? rootOf(error.cause) : error;
}
