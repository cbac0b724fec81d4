import { createHash, timingSafeEqual } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { FileDoor, ServeBounds } from './file-door.ts';
import type { Regenerator } from './regenerator.ts';

export interface AppOptions {
  readonly playlistFile: string;
  /** Undefined when no guide is configured: what an earlier run may have left is not served. */
  readonly guideFile: string | undefined;
  /** `<name>.m3u8` and `<name>.xmltv` are the paths. */
  readonly name: string;
  readonly token: string | undefined;
  readonly regenerator: Regenerator;
  readonly bounds?: ServeBounds;
}

type Env = { Bindings: { outgoing: ServerResponse } };

/**
 * The web side: `GET /<name>.m3u8`, `GET /<name>.xmltv`, `GET /health`, `GET /live` (200 whenever it answers), `POST /regenerate` (with `Authorization: Bearer <token>`: 202 when a
 * run was started, 409 while one is running, 401 for a wrong token, 403 when the configuration has none).
 */
export function createApp(options: AppOptions): Hono<Env> {
  const { name, playlistFile, guideFile, regenerator, bounds = new ServeBounds() } = options;
  const app = new Hono<Env>();
  const files = {
    [`/${name}.m3u8`]: new FileDoor({ path: playlistFile, contentType: 'audio/x-mpegurl; charset=utf-8' }, bounds),
    ...(guideFile !== undefined && {
      [`/${name}.xmltv`]: new FileDoor({ path: guideFile, contentType: 'application/xml; charset=utf-8' }, bounds),
    }),
  };
  // Compared by hand: a name may hold what a router takes for a pattern.
  app.get('*', async (c, next) => {
    const door = files[decodePath(c.req.path)];
    return door === undefined ? await next() : await handOut(c, door);
  });
  // For supervisors: the process answers. Whether there is something to serve is /health.
  app.get('/live', (c) => c.json({ ok: true }));
  app.get('/health', async (c) => {
    const playlist = await files[`/${name}.m3u8`]!.answer('HEAD', () => undefined);
    const ok = playlist.status === 200;
    const { last, nextMs, running } = regenerator;
    return c.json(
      { ok, running, lastRun: last ?? null, nextRunMs: nextMs ?? null, readers: bounds.readers },
      ok ? 200 : 503,
    );
  });
  app.post('/regenerate', (c) => {
    if (options.token === undefined)
      return c.json({ error: 'not allowed: the configuration has no [serve] token' }, 403);
    if (!isBearer(c.req.header('authorization'), options.token)) {
      return c.json({ error: 'the bearer token is missing or wrong' }, 401, { 'www-authenticate': 'Bearer' });
    }
    return regenerator.start() ? c.json({ started: true }, 202) : c.json({ error: 'a run is under way' }, 409);
  });
  app.notFound((c) => c.json({ error: 'not found' }, 404));
  return app;
}

async function handOut(c: Context<Env>, door: FileDoor): Promise<Response> {
  const answer = await door.answer(c.req.method, (header) => c.req.header(header));
  if (answer.send === undefined) return c.body(null, answer.status, answer.headers);
  void answer.send(c.env.outgoing);
  return RESPONSE_ALREADY_SENT;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Takes the same time whatever is wrong with the token. */
function isBearer(header: string | undefined, token: string): boolean {
  const given = /^bearer +(\S+)\s*$/i.exec(header ?? '')?.[1] ?? '';
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
