/**
 * Hides what must not be read in logs, reports and errors: user info in URLs, values of queries such as `username`, `password`
 * and `token`, and the user and password that Xtream servers put into the path (`/live/USER/PASS/1.ts`).
 *
 * It errs on the side of hiding. Works on any text, also on text that is no valid URL, so that a broken URL does not leak.
 */
const MASK = '***';

const SECRET_QUERY =
  /([?&;](?:amp;)?(?:[\w-]*(?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|api_?-?key|access_?-?key|auth|sig(?:nature)?|session(?:_?id)?|mac)|u|p|key|pw))=([^&#;\s"'<>|`]*)/gi;
/** URL parsers take any number of slashes, either way round, behind the scheme, and none behind `http:`. */
const SCHEME = /(?<![a-z0-9+.-])(?:https?:[\\/]*|[a-z][a-z0-9+.-]*:[\\/]+)/i;
const RUN_WITH_USER_INFO = /[^\s"'<>`]+/g;
const XTREAM_PATH =
  /(\/(?:live|movie|series|timeshift|streaming|hls|play|hlsr)\/)([^/?#\s"'<>`]+)\/([^/?#\s"'<>`]+)(?=\/)/gi;
/** `http://host:port/USER/PASS/12345` or with `.ts` or `.m3u8`: the short form of a live stream. */
const XTREAM_SHORT =
  /(:\/\/[^/?#\s"'<>`]+\/)([^/?#\s"'<>`]+)\/([^/?#\s"'<>`]+)(?=\/\d+(?:\.\w{2,4})?(?:[?#\s"'<>|`]|$))/gi;

/** Masks every URL inside a text. Linear in its length. */
export function maskText(text: string): string {
  const masked = text.replace(XTREAM_PATH, `$1${MASK}/${MASK}`).replace(XTREAM_SHORT, `$1${MASK}/${MASK}`);
  return maskLeadingUserInfo(masked).replace(RUN_WITH_USER_INFO, maskUserInfo).replace(SECRET_QUERY, `$1=${MASK}`);
}

/** Masks a text that is one URL, or was meant to be: what no URL parser takes loses everything up to its last `@`. */
export function maskUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:/.test(parsed.protocol)) return maskText(maskToLastAt(url));
  // As it stands first: `http://me:80/pw@host` loses its colon when it is normalised.
  const masked = maskUserInfo(url);
  return maskText(masked === url ? maskUserInfo(parsed.href) : masked);
}

function maskToLastAt(text: string): string {
  const at = text.lastIndexOf('@');
  if (at < 0) return text;
  const scheme = /^\s*https?:[\\/]*/i.exec(text.slice(0, at))?.[0] ?? '';
  return `${scheme}${MASK}${text.slice(at)}`;
}

/**
 * Masks between the scheme and the last `@` before the path. With a colon anything up to the last `@` at all may be a name and password with a
 * `/`, `?` or `#` that should have been escaped; that may hide a host with a port, too.
 */
function maskUserInfo(text: string): string {
  const lastAt = text.lastIndexOf('@');
  if (lastAt < 0) return text;
  const scheme = SCHEME.exec(text);
  if (scheme === null || scheme.index > lastAt) return text;
  const start = scheme.index + scheme[0].length;
  const authority = text.slice(start, firstSegmentEnd(text, start));
  const at = text.slice(start, lastAt).includes(':') ? lastAt : start + authority.lastIndexOf('@');
  return at < start ? text : `${text.slice(0, start)}${MASK}${text.slice(at)}`;
}

/** A text that begins with a URL may have blanks and quotes in its user info. */
function maskLeadingUserInfo(text: string): string {
  const start = /^\s*https?:[\\/]*/i.exec(text)?.[0].length;
  if (start === undefined) return text;
  const authority = text.slice(start, firstSegmentEnd(text, start));
  const at = authority.lastIndexOf('@');
  if (at < 0 || !authority.slice(0, at).includes(':')) return text;
  return `${text.slice(0, start)}${MASK}${authority.slice(at)}${text.slice(start + authority.length)}`;
}

function firstSegmentEnd(text: string, start: number): number {
  for (let end = start; end < text.length; end++) if ('/\\?#'.includes(text[end]!)) return end;
  return text.length;
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
