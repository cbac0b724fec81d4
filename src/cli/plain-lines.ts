import { withoutControlCharacters } from '../control-characters.ts';

/** What goes to standard error when something is wrong: one line, with nothing in it that moves a cursor, whoever wrote the text. */
export function errorLine(text: string): string {
  return `plimsoll: ${withoutControlCharacters(text.trim().replaceAll(/\s*\n\s*/g, ' '))}\n`;
}

/** Those that JSON leaves as they are, of which terminals make something else than a picture. */
const LEFT_BY_JSON = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** JSON that a terminal shows as it is; reading it gives the same. A line, or indented by two where `isWide`. */
export function jsonLines(data: unknown, isWide = false): string {
  const text = JSON.stringify(data, undefined, isWide ? 2 : 0);
  return `${text.replaceAll(LEFT_BY_JSON, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}
