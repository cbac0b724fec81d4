import { CHANNEL_FIELDS } from '../channels/entry-batch.ts';

/** How a rule sees what it works on: fields by number, decoded when asked for. The numbers are indexes in `RULE_FIELDS`. */
export interface FieldAccess {
  /** The text of a field; '' when blank or absent. */
  get(field: number): string;
  /** The same in lower case (kept by the view, so that many rules pay once). */
  lower(field: number): string;
  /** Sets a writable field. */
  set(field: number, value: string): void;
}

/** The first eight are the channel fields in the order of `CHANNEL_FIELDS`, the three programme fields, then the read-only ones. */
export const RULE_FIELDS = [
  ...CHANNEL_FIELDS,
  'programme_title',
  'programme_description',
  'programme_category',
  'source_name',
  'source_type',
  'source_url',
] as const;
export type RuleField = (typeof RULE_FIELDS)[number];
export const FIRST_PROGRAMME_FIELD = 8;
export const FIRST_READ_ONLY_FIELD = 11;
