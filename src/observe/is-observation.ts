import { PRESSURE_LEVELS } from '../governor/index.ts';
import type { Observation } from './observation.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Whether somebody else's JSON has the shape of a look, as far as screens depend on it: each row that they show has the texts and finite figures that they show of it. What comes from a file or
 * over a wire may be damaged, or written to mislead. Pure, about 10 µs with 20 consumers; never throws for what JSON can be.
 */
export function isObservation(value: unknown): value is Observation {
  if (!isFields(value) || 'feed' in value || 'ended' in value) return false;
  const { version, snapshot, collections, events, alerts } = value;
  if (version !== 1 || !hasFigures(value, ['number', 'at', 'pid', 'droppedEvents'])) return false;
  return isSnapshot(snapshot) && isCollections(collections) && eachIs(events, isEvent) && eachIs(alerts, isAlert);
}

function isSnapshot(value: unknown): boolean {
  if (!hasTexts(value, ['level', 'mode', 'limitFrom', 'decidingMeter'])) return false;
  if (!hasFigures(value, ['limitBytes', 'reservedBytes', 'waiting', 'refusals'])) return false;
  const { level, thresholds, meters, consumers, faults, warnings, trains, psi } = value;
  return (
    PRESSURE_LEVELS.some((each) => each === level) &&
    isFields(thresholds) &&
    hasFigures(thresholds, ['moderate', 'high', 'critical', 'emergency']) &&
    eachIs(meters, isMeter) &&
    eachIs(consumers, isConsumer) &&
    eachIs(faults, isFault) &&
    eachIs(warnings, (each) => typeof each === 'string') &&
    isFields(trains) &&
    hasFigures(trains, ['count', 'spentMs', 'releasedBytes', 'seenBytes']) &&
    (psi === undefined || (isFields(psi) && hasFigures(psi, ['someAvg10'])))
  );
}

const isCollections = (value: unknown): boolean =>
  isFields(value) && hasFigures(value, ['count', 'pauseMs', 'longestMs']) && isFigureOrAbsent(value.freedBytes);

const isMeter = (row: unknown): boolean =>
  hasTexts(row, ['name']) && hasFigures(row, ['bytes', 'limitBytes', 'ratio', 'peakBytes']);

const isConsumer = (row: unknown): boolean =>
  hasTexts(row, ['name', 'kind']) &&
  hasFigures(row, ['ownBytes', 'peakBytes', 'reclaimableBytes', 'refusals']) &&
  isFigureOrAbsent(row.maxBytes);

const isFault = (row: unknown): boolean => hasTexts(row, ['part', 'message']) && hasFigures(row, ['count']);

/** Which fields it has depends on its kind, and one whose figure was none is without it; but there is nothing in it that has parts. */
const isEvent = (row: unknown): boolean =>
  hasTexts(row, ['kind', 'source']) && hasFigures(row, ['number', 'at']) && Object.values(row).every(isPlain);

const isAlert = (row: unknown): boolean => hasTexts(row, ['rule', 'severity', 'phase', 'message']);

const eachIs = (value: unknown, is: (each: unknown) => boolean): boolean => Array.isArray(value) && value.every(is);

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const hasTexts = (value: unknown, names: readonly string[]): value is Fields =>
  isFields(value) && names.every((name) => typeof value[name] === 'string');

const hasFigures = (value: Fields, names: readonly string[]): boolean =>
  names.every((name) => Number.isFinite(value[name]));

const isFigureOrAbsent = (value: unknown): boolean => value === undefined || Number.isFinite(value);

const isPlain = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value);
