import { parseBytes } from '../bytes.ts';

/** What is smaller is refused by `plimsoll/auto`, too. */
const LEAST_BYTES = 16 * 1_048_576;

/**
 * The line as `PLIMSOLL_LIMIT` and `PLIMSOLL_SHARE` set it for a program with `plimsoll/auto`. What cannot be read there is none: the program goes on without it as well, and says so.
 */
export function environmentLimit(env: Readonly<Record<string, string | undefined>>): {
  readonly limitBytes?: number;
  readonly share?: number;
} {
  const limitBytes = sizeIn(env.PLIMSOLL_LIMIT?.trim() ?? '');
  const shareText = env.PLIMSOLL_SHARE?.trim() ?? '';
  const share = /^\d*\.?\d+$/.test(shareText) ? Number(shareText) : Number.NaN;
  return {
    ...(limitBytes === undefined || limitBytes < LEAST_BYTES ? {} : { limitBytes }),
    ...(share > 0 && share <= 1 ? { share } : {}),
  };
}

function sizeIn(text: string): number | undefined {
  try {
    // As Kubernetes writes it, too.
    return parseBytes(text.replace(/^(\d+(?:\.\d+)?)\s*([KMGT]i)$/, '$1$2B'));
  } catch {
    return undefined;
  }
}
