import { type FileHandle, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuideConfig, SourceConfig } from '../config/config.ts';
import { type Downloaded, download } from './download.ts';
import { readHeld } from './file-source.ts';
import { createHttpAgent, type HttpAgent } from './http-agent.ts';
import { type Inspected, inspectContent } from './inspect-content.ts';
import { NotJsonError } from './json-objects.ts';
import { type GoodFile, LastGood } from './last-good.ts';
import { maskSecrets, maskUrl } from './mask.ts';
import { type SourceContent, type SourceContext, sourceLabel } from './source-content.ts';
import { SourceError } from './source-error.ts';
import { writeXtreamPlaylist, type XtreamAccount, xtreamUrls } from './xtream.ts';

type Kind = 'playlist' | 'guide';

/**
 * Downloads a URL or an Xtream account's list into the cache folder, checks that it is whole and what it should be, and makes it the last
 * good content at once. When any of that fails, or there are far fewer entries than last time, the last good content
 * stands in, with a warning. A guide that merely is damaged is better than none: without last good content it is used as it is.
 */
export async function openRemote(
  config: SourceConfig | GuideConfig,
  kind: Kind,
  context: SourceContext,
): Promise<SourceContent> {
  await using agent = createHttpAgent();
  await using fetcher = await RemoteFetch.begin(config, kind, context, agent);
  return await fetcher.open();
}

class RemoteFetch implements AsyncDisposable {
  readonly #config: SourceConfig | GuideConfig;
  readonly #kind: Kind;
  readonly #context: SourceContext;
  readonly #agent: HttpAgent;
  readonly #lastGood: LastGood;
  readonly #label: string;
  readonly #secrets: readonly string[];
  /** Files to be removed at the end unless they were moved away. */
  readonly #parts: string[] = [];
  /** In a dry run: where downloads go. */
  readonly #temporaryDir: string | undefined;
  /** What may become the content is held open, so that it does not matter who removes it: another run, or this one. */
  readonly #handles = new Set<FileHandle>();

  private constructor(
    config: SourceConfig | GuideConfig,
    kind: Kind,
    context: SourceContext,
    agent: HttpAgent,
    temporaryDir: string | undefined,
  ) {
    this.#config = config;
    this.#kind = kind;
    this.#context = context;
    this.#agent = agent;
    this.#temporaryDir = temporaryDir;
    const { origin } = config;
    const identity = origin.kind === 'xtream' ? [origin.host, origin.user] : [origin.kind === 'url' ? origin.url : ''];
    this.#lastGood = new LastGood(context.cacheDir, [origin.kind, kind, ...identity].join('\0'));
    this.#label = sourceLabel(kind, config.name);
    this.#secrets = origin.kind === 'xtream' ? [origin.user, origin.password] : [];
  }

  static async begin(
    config: SourceConfig | GuideConfig,
    kind: Kind,
    context: SourceContext,
    agent: HttpAgent,
  ): Promise<RemoteFetch> {
    const temporaryDir = context.dryRun ? await mkdtemp(join(context.tempDir, 'download-')) : undefined;
    return new RemoteFetch(config, kind, context, agent, temporaryDir);
  }

  async open(): Promise<SourceContent> {
    const stored = this.#lastGood.files[0];
    const held = stored && (await this.#lastGood.open(stored));
    const good = held && stored;
    if (held !== undefined) this.#handles.add(held);
    try {
      const fetched = await this.#fetch(good);
      if (fetched === undefined) return this.#content(held!, good!.sizeBytes, false);
      return await this.#accept(fetched.path, fetched.downloaded, good);
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (!(error instanceof SourceError)) throw error;
      if (good === undefined || held === undefined) throw this.#masked(error);
      const since = new Date(good.modifiedMs).toISOString().slice(0, 16).replace('T', ' ');
      const hint = error.fault === 'shrunk' ? `. To accept it as it is, delete ${this.#lastGood.stateFile}` : '';
      this.#context.warn(this.#mask(`${error.message}: the last good content (${since} UTC) is used${hint}`));
      return this.#content(held, good.sizeBytes, true);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles) await handle.close();
    for (const path of this.#parts) await rm(path, { force: true });
    if (this.#temporaryDir !== undefined) await rm(this.#temporaryDir, { recursive: true, force: true });
  }

  /** Undefined when the server says that the last good content is still the content. */
  async #fetch(
    good: GoodFile | undefined,
  ): Promise<{ path: string; downloaded: Downloaded & { status: 'fetched' } } | undefined> {
    const { origin } = this.#config;
    if (origin.kind === 'xtream' && this.#kind === 'playlist') return await this.#fetchXtream(origin);
    const url = origin.kind === 'xtream' ? xtreamUrls.guide(origin) : origin.kind === 'url' ? origin.url : '';
    const path = await this.#part();
    const downloaded = await this.#download(url, path, good);
    return downloaded.status === 'unchanged' ? undefined : { path, downloaded };
  }

  async #fetchXtream(
    account: XtreamAccount,
  ): Promise<{ path: string; downloaded: Downloaded & { status: 'fetched' } }> {
    const path = await this.#part();
    const streamsPath = await this.#part();
    const categoriesPath = await this.#part();
    const playlist = { playlistPath: path, streamsPath, maxBytes: this.#config.maxBytes, label: this.#label };
    try {
      await this.#download(xtreamUrls.streams(account), streamsPath);
      const grouped = await this.#download(xtreamUrls.categories(account), categoriesPath).then(
        () => true,
        (error: unknown) => {
          this.#context.signal.throwIfAborted();
          this.#context.warn(this.#mask(`${(error as Error).message}: channels of this account have no groups`));
          return false;
        },
      );
      await writeXtreamPlaylist(account, { ...playlist, categoriesPath: grouped ? categoriesPath : undefined });
      return { path, downloaded: { status: 'fetched', sizeBytes: 0, etag: undefined, lastModified: undefined } };
    } catch (error) {
      const otherWay =
        error instanceof NotJsonError ||
        (error instanceof SourceError && error.fault === 'http' && /answers 40[045]/.test(error.message));
      if (!otherWay) throw error;
      const downloaded = await this.#download(xtreamUrls.playlist(account), path);
      return { path, downloaded: downloaded as Downloaded & { status: 'fetched' } };
    }
  }

  #download(url: string, path: string, good?: GoodFile): Promise<Downloaded> {
    const { timeoutMs, retryCount, maxBytes, headers } = this.#config;
    const { clock, signal } = this.#context;
    return download({
      url,
      path,
      label: `${this.#label}: ${this.#mask(maskUrl(url).split('?', 1)[0]!)}`,
      ...{ timeoutMs, retryCount, maxBytes, headers, clock, signal },
      agent: this.#agent,
      etag: good?.etag,
      lastModified: good?.lastModified,
    });
  }

  async #part(): Promise<string> {
    const path =
      this.#temporaryDir === undefined
        ? (await this.#lastGood.reserve()).partPath
        : join(this.#temporaryDir, String(this.#parts.length));
    this.#parts.push(path);
    return path;
  }

  async #accept(
    path: string,
    downloaded: Downloaded & { status: 'fetched' },
    good: GoodFile | undefined,
  ): Promise<SourceContent> {
    const inspected = await this.#inspect(path, good);
    const { shrinkLimit, clock } = this.#context;
    if (good !== undefined && inspected.entryCount < good.entryCount * shrinkLimit) {
      const what = this.#kind === 'guide' ? 'programmes' : 'channels';
      throw new SourceError(this.#label, `has shrunk from ${good.entryCount} ${what} to ${inspected.entryCount}`, {
        fault: 'shrunk',
      });
    }
    const handle = await open(path, 'r');
    this.#handles.add(handle);
    const { size: sizeBytes } = await handle.stat();
    // Damaged content is used but never remembered as good.
    if (inspected.whole && this.#temporaryDir === undefined) {
      const { etag, lastModified } = downloaded;
      const { entryCount } = inspected;
      await this.#store(path, {
        name: this.#label,
        sizeBytes,
        modifiedMs: clock.wall(),
        entryCount,
        etag,
        lastModified,
      });
    }
    return this.#content(handle, sizeBytes, false);
  }

  /** The content is there and held open: that it cannot be remembered is no reason to do without it. */
  async #store(path: string, file: Omit<GoodFile, 'copy'>): Promise<void> {
    try {
      const { copy } = await this.#lastGood.reserve();
      await rename(path, join(this.#lastGood.dir, copy));
      await this.#lastGood.save([{ ...file, copy }]);
    } catch (error) {
      const why = (error as Error).message;
      this.#context.warn(this.#mask(`${this.#label}: is used, but cannot be kept as last good content: ${why}`));
    }
  }

  async #inspect(path: string, good: GoodFile | undefined): Promise<Inspected & { readonly whole: boolean }> {
    try {
      return { ...(await inspectContent(path, this.#kind, this.#config.maxBytes, this.#label)), whole: true };
    } catch (error) {
      const usable = this.#kind === 'guide' && good === undefined && error instanceof SourceError;
      if (!usable || (error.fault !== 'truncated' && error.fault !== 'damaged')) throw error;
      return { entryCount: 0, contentBytes: 0, whole: false };
    }
  }

  #content(handle: FileHandle, sizeBytes: number, stale: boolean): SourceContent {
    const { origin, name, maxBytes } = this.#config;
    const url = origin.kind === 'url' ? origin.url : origin.kind === 'xtream' ? origin.host : '';
    const label = `${this.#label} (${this.#mask(maskUrl(url))})`;
    this.#handles.delete(handle);
    return {
      name,
      type: origin.kind === 'xtream' ? 'xtream' : 'm3u',
      parts: [{ label, url, sizeBytes, open: () => readHeld(handle, label, maxBytes) }],
      stale,
      keep: async () => {},
      [Symbol.asyncDispose]: () => handle.close(),
    };
  }

  #mask(text: string): string {
    return maskSecrets(text, this.#secrets);
  }

  #masked(error: SourceError): SourceError {
    const { fault, offsetBytes, cause } = error;
    const colon = error.message.indexOf(': ');
    const details = offsetBytes === undefined ? { fault, cause } : { fault, offsetBytes, cause };
    return new SourceError(
      this.#mask(error.message.slice(0, colon)),
      this.#mask(error.message.slice(colon + 2)),
      details,
    );
  }
}
