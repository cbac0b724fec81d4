import { PlimsollError } from 'plimsoll';

/** The user's mistake in a file, a variable or a flag (`PLIMSOLL_PLAYLIST_CONFIG`): exit code 2, one line for each problem, no stack. */
export class ConfigError extends PlimsollError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], cause?: unknown) {
    super(problems.join('\n'), { code: 'PLIMSOLL_PLAYLIST_CONFIG', recovery: 'fail', cause });
    this.problems = problems;
  }
}
