/**
 * What writes over or moves what stands beside it where a text is shown: control characters, the separators that end a line, and those that turn text around or set it apart
 * (bidirectional formatting, U+202A to U+202E and U+2066 to U+2069), with which a text can be made to look like another.
 */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;
const EACH_CONTROL = new RegExp(CONTROL, 'g');

export function hasControlCharacters(text: string): boolean {
  return CONTROL.test(text);
}

/** The same with a space for each of them: one line that shows what it says. */
export function withoutControlCharacters(text: string): string {
  return text.replaceAll(EACH_CONTROL, ' ');
}
