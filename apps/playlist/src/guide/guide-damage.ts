import { PlimsollError } from 'plimsoll';

/** What can be wrong with a guide. All but the last leave the rest of the guide readable. */
export type DamageKind =
  /** Not a guide at all, or something other than `<tv>` around it. */
  | 'not-xmltv'
  /** Text between elements. */
  | 'stray-text'
  /** An element or end tag that has no place there. */
  | 'unexpected-element'
  /** A start tag that cannot be read: `<` in an attribute, a missing quote. */
  | 'bad-tag'
  /** The end tag of a `<channel>` or `<programme>` is missing. */
  | 'unterminated-element'
  /** The end tags within a kept element do not fit its start tags. */
  | 'unbalanced-element'
  /** An element longer than the bound. */
  | 'element-too-long'
  /** A comment, CDATA section, processing instruction or DOCTYPE without an end. */
  | 'unterminated-markup'
  /** Something after `</tv>`. */
  | 'after-end'
  /** The guide ends before `</tv>`. */
  | 'missing-end'
  /** Compressed content ends early, or is not what it says. */
  | 'read-error';

const TEXTS: Readonly<Record<DamageKind, string>> = {
  'not-xmltv': 'is not an XMLTV guide: expected `<tv>`',
  'stray-text': 'has text between its elements',
  'unexpected-element': 'has something other than a channel or a programme',
  'bad-tag': 'has a tag that cannot be read',
  'unterminated-element': 'has an element without an end tag',
  'unbalanced-element': 'has an element whose end tags do not fit its start tags',
  'element-too-long': 'has an element that is too long',
  'unterminated-markup': 'has a comment, CDATA section or declaration without an end',
  'after-end': 'goes on after `</tv>`',
  'missing-end': 'ends before `</tv>`',
  'read-error': 'cannot be read any further',
};

/** One place where a guide is broken. */
export interface GuideDamage {
  readonly kind: DamageKind;
  /** Where it begins, in bytes of the decompressed guide (in UTF-8, when it was recoded). */
  readonly byteOffset: number;
  readonly detail?: string;
}

/** One line for people: `guide.xml, byte 1234: has an element without an end tag`. */
export function describeDamage(label: string, damage: GuideDamage): string {
  const detail = damage.detail === undefined ? '' : ` (${damage.detail})`;
  return `${label}, byte ${damage.byteOffset}: ${TEXTS[damage.kind]}${detail}`;
}

/** `PLIMSOLL_PLAYLIST_GUIDE_DAMAGED`: a damaged guide was refused, as `onDamage: 'refuse'` asks for. The old output should be kept. */
export class GuideDamagedError extends PlimsollError {
  override readonly name: string = 'GuideDamagedError';
  readonly damage: GuideDamage;

  constructor(label: string, damage: GuideDamage, cause?: unknown) {
    super(describeDamage(label, damage), { code: 'PLIMSOLL_PLAYLIST_GUIDE_DAMAGED', recovery: 'fail', cause });
    this.damage = damage;
  }
}
