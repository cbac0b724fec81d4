/** Whether `If-None-Match` names the entity tag (RFC 9110, 13.1.2: compared weakly). */
export function matchesAny(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((tag) => tag.replace(/^W\//, '') === etag);
}

/** Whether a range may be given: there is no `If-Range`, or it names exactly this tag or this date. */
export function rangeIsCurrent(header: string | undefined, etag: string, lastModified: string): boolean {
  return header === undefined || header.trim() === etag || header.trim() === lastModified;
}

/** Whether `If-Modified-Since` says that the client has this one (compared to the second, as HTTP dates are). */
export function isNotModifiedSince(header: string | undefined, modifiedMs: number): boolean {
  const since = header === undefined ? Number.NaN : Date.parse(header);
  return Math.floor(modifiedMs / 1000) * 1000 <= since;
}

/** Whether `Accept-Encoding` takes gzip, by name or by `*`, and does not weigh it 0. */
export function acceptsGzip(header: string | undefined): boolean {
  let star = false;
  for (const item of (header ?? '').toLowerCase().split(',')) {
    const [coding = '', ...parameters] = item.split(';').map((part) => part.trim());
    const refused = parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
    if (coding === 'gzip' || coding === 'x-gzip') return !refused;
    if (coding === '*') star = !refused;
  }
  return star;
}
