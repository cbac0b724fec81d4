import { METER_NAMES, type MeterName } from '../governor/index.ts';

const MIB = 1_048_576;
const NUMBER = String.raw`-?\d+(?:\.\d+)?`;
const FIRST = /^plimsoll: (.*); level (\w+) by (\w+)$/;
const SECOND = new RegExp(
  String.raw`^(\S+), process (\d+), limit (${NUMBER}) MiB, reserved (${NUMBER}) MiB \(peak (${NUMBER}) MiB\)$`,
);
const SAMPLE = new RegExp(`^last sample: (${NUMBER})% of the limit(.*)$`);
const HOLDER = new RegExp(String.raw`^ {2}(.*) \((\w+)\): (${NUMBER}) MiB, peak (${NUMBER}) MiB$`);

/** What stands in a termination log, as the governor writes it and Kubernetes shows it. Sizes were written in tenths of a MiB. */
export interface TerminationRecord {
  readonly kind: 'termination-log';
  readonly why: string;
  readonly level: string;
  readonly decidingMeter: string;
  /** As written. */
  readonly takenAt: string;
  readonly pid: number;
  readonly limitBytes: number;
  readonly reservedBytes: number;
  readonly peakReservedBytes: number;
  /** Of the limit, at the last sample. */
  readonly ratio?: number;
  readonly meters: Readonly<Partial<Record<MeterName, number>>>;
  readonly dump?: string;
  readonly largest: readonly {
    readonly name: string;
    readonly kind: string;
    readonly ownBytes: number;
    readonly peakBytes: number;
  }[];
}

/** Undefined for a text that is none. Lines that are not known are passed over: a later version may write more. Pure. */
export function readTermination(text: string): TerminationRecord | undefined {
  // Most files are something else, and some are large: they are not taken apart for this.
  if (!/^\s*plimsoll: /.test(text)) return undefined;
  const [one = '', two = '', ...rest] = text.replace(/^\s+/, '').split(/\r?\n/);
  const first = FIRST.exec(one);
  const second = SECOND.exec(two);
  if (first === null || second === null) return undefined;
  const sample = rest.map((line) => SAMPLE.exec(line)).find((match) => match !== null);
  const dump = rest.find((line) => line.startsWith('dump: '))?.slice('dump: '.length);
  const largest = rest.flatMap((line) => {
    const match = HOLDER.exec(line);
    if (match === null) return [];
    return [{ name: match[1]!, kind: match[2]!, ownBytes: mib(match[3]), peakBytes: mib(match[4]) }];
  });
  return {
    kind: 'termination-log',
    why: first[1]!,
    level: first[2]!,
    decidingMeter: first[3]!,
    takenAt: second[1]!,
    pid: Number(second[2]),
    limitBytes: mib(second[3]),
    reservedBytes: mib(second[4]),
    peakReservedBytes: mib(second[5]),
    ...(sample === undefined ? {} : { ratio: Number(sample[1]) / 100 }),
    meters: sample === undefined ? {} : metersIn(sample[2]!),
    ...(dump === undefined ? {} : { dump }),
    largest,
  };
}

const mib = (text: string | undefined): number => Math.round(Number(text) * MIB);

function metersIn(text: string): Partial<Record<MeterName, number>> {
  const found: Partial<Record<MeterName, number>> = {};
  for (const name of METER_NAMES) {
    const value = new RegExp(`\\b${name} (${NUMBER}) MiB`).exec(text)?.[1];
    // A meter that is not there was written as nothing.
    if (value !== undefined && Number(value) > 0) found[name] = mib(value);
  }
  return found;
}
