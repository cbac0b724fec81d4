import { DEFAULT_THRESHOLDS } from 'plimsoll';
import type { RawConfig } from './environment.ts';
import { issueLines } from './issue-line.ts';
import { FILE_SCHEMA, type FileShape } from './schema.ts';

/** The place of a key for messages, when it is not the file's own: a variable, a flag, a key of m3u-proxy. */
export type OriginOf = (key: string) => string | undefined;

export interface CheckedShape {
  /** Undefined when there are problems with single values. */
  readonly shape: FileShape | undefined;
  /** A line each. */
  readonly problems: readonly string[];
}

/** Checks every value, and then what one value alone cannot tell. `isOlder`: the file has tables of m3u-proxy. */
export function checkShape(raw: RawConfig, file: string, originOf: OriginOf, isOlder: boolean): CheckedShape {
  const parsed = FILE_SCHEMA.safeParse(raw);
  if (parsed.success) {
    const { data } = parsed;
    return { shape: data, problems: [...nameProblems(data, file), ...orderProblems(data, file, originOf)] };
  }
  const problems = parsed.error.issues.flatMap((issue) => issueLines(issue, raw, file, originOf));
  if (!isOlder || raw.source !== undefined) return { shape: undefined, problems };
  const hint = 'm3u-proxy keeps the lists in its database, here the file names them: [[source]] url = "..."';
  return {
    shape: undefined,
    problems: problems.map((line) => (line === `${file}: source: is required` ? `${line}. ${hint}` : line)),
  };
}

/** Names that are used twice, references to other entries. */
function nameProblems(shape: FileShape, file: string): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  shape.source.forEach((source, i) => {
    if (source.name === undefined) return;
    if (seen.has(source.name))
      problems.push(`${file}: source[${i + 1}].name: Expected a name of its own, got \`${source.name}\` again`);
    seen.add(source.name);
  });
  shape.guide?.forEach((guide, i) => {
    if (guide.source === undefined) return;
    const target = shape.source.find((source) => source.name === guide.source);
    if (target?.type === 'xtream') return;
    const what = target === undefined ? 'but there is none of that name' : 'but that source is not type = "xtream"';
    problems.push(
      `${file}: guide[${i + 1}].source: Expected the name of an xtream source, got \`${guide.source}\`, ${what}`,
    );
  });
  return problems;
}

/** Values that have to be in order. */
function orderProblems({ memory, plugins }: FileShape, file: string, originOf: OriginOf): string[] {
  const problems: string[] = [];
  const at = (key: string) => originOf(key) ?? `${file}: ${key}`;
  const given = memory?.levels ?? {};
  for (const [lower, higher] of [
    ['moderate', 'high'],
    ['high', 'critical'],
    ['critical', 'emergency'],
  ] as const) {
    const below = given[lower] ?? DEFAULT_THRESHOLDS[lower];
    const above = given[higher] ?? DEFAULT_THRESHOLDS[higher];
    if (below < above) continue;
    const [key, value, what] =
      given[higher] === undefined
        ? [lower, below, `below \`${higher}\`, which is ${above} unless it is set`]
        : [
            higher,
            above,
            `above \`${lower}\`, which is ${below}${given[lower] === undefined ? ' unless it is set' : ''}`,
          ];
    problems.push(`${at(`memory.levels.${key}`)}: Expected a share ${what}, got \`${value}\``);
  }
  const { limit, pool_preallocate: ahead } = memory ?? {};
  if (limit !== undefined && ahead !== undefined && ahead > limit / 2)
    problems.push(`${at('memory.pool_preallocate')}: Expected at most half of [memory] limit`);
  const { max_memory: one, max_total_memory: all } = plugins ?? {};
  if (one !== undefined && all !== undefined && all < one)
    problems.push(`${at('plugins.max_total_memory')}: Expected at least what one plugin may have (\`max_memory\`)`);
  return problems;
}
