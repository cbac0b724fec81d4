import type { IncomingMessage } from 'node:http';

/** As much of a request as the gate looks at. `rawHeaders` where the same header comes twice. */
export function fakeRequest(
  headers: Readonly<Record<string, string>>,
  {
    remoteAddress = '127.0.0.1',
    localPort = 9_229,
    rawHeaders,
  }: { remoteAddress?: string; localPort?: number; rawHeaders?: string[] } = {},
): IncomingMessage {
  const raw = rawHeaders ?? Object.entries(headers).flat();
  return { headers, rawHeaders: raw, socket: { remoteAddress, localPort } } as unknown as IncomingMessage;
}
