/**
 * Hides what must not be read in logs, reports and errors: user info in URLs, values of queries such as `username`, `password`
 * and `token`, and the user and password that Xtream servers put into the path (`/live/USER/PASS/1.ts`).
 *
 * It errs on the side of hiding. Works on any text, also on text that is no valid URL, so that a broken URL does not leak.
 */
const MASK = '***';

const SECRET_QUERY =
  /([?&;](?:amp;)?(?:[\w-]*(?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|api_?-?key|access_?-?key|auth|sig(?:nature)?|session(?:_?id)?|mac)|u|p|key|pw))=([^&#;\s"'<>|`]*)/gi;
const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)([^/?#\s"'<>`]*)@/gi;
const XTREAM_PATH =
  /(\/(?:live|movie|series|timeshift|streaming|hls|play|hlsr)\/)([^/?#\s"'<>`]+)\/([^/?#\s"'<>`]+)(?=\/)/gi;
/** `http://host:port/USER/PASS/12345` or with `.ts` or `.m3u8`: the short form of a live stream. */
const XTREAM_SHORT =
  /(:\/\/[^/?#\s"'<>`]+\/)([^/?#\s"'<>`]+)\/([^/?#\s"'<>`]+)(?=\/\d+(?:\.\w{2,4})?(?:[?#\s"'<>|`]|$))/gi;

/** Masks every URL inside a text. Linear in its length. */
export function maskText(text: string): string {
  return text
    .replace(USER_INFO, `$1${MASK}@`)
    .replace(XTREAM_PATH, `$1${MASK}/${MASK}`)
    .replace(XTREAM_SHORT, `$1${MASK}/${MASK}`)
    .replace(SECRET_QUERY, `$1=${MASK}`);
}

/** Masks a text that is one URL. */
export function maskUrl(url: string): string {
  return maskText(url);
}

/** Masks a text, and in it the very words that are known to be secret (3 letters up; plain and percent-encoded). */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  let masked = text;
  for (const secret of secrets) {
    if (secret.length < 3) continue;
    masked = masked.replaceAll(secret, MASK).replaceAll(encodeURIComponent(secret), MASK);
  }
  return maskText(masked);
}
