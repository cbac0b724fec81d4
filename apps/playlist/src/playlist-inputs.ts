import type { EntryOrigin } from './channels/entry-batch.ts';
import type { SourceConfig } from './config/config.ts';
import { openSource } from './sources/open-source.ts';
import type { SourceContent, SourceContext } from './sources/source-content.ts';
import type { PlaylistInput } from './stages/load-sources.ts';

/** The lists of all sources, in order, each fetched when its turn comes. */
export class PlaylistInputs implements AsyncDisposable {
  readonly #sources: readonly SourceConfig[];
  readonly #context: SourceContext;
  readonly #contents: SourceContent[] = [];
  /** By source: where its first list came from. */
  readonly origins: EntryOrigin[] = [];

  constructor(sources: readonly SourceConfig[], context: SourceContext) {
    this.#sources = sources;
    this.#context = context;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PlaylistInput> {
    for (const [sourceIndex, source] of this.#sources.entries()) {
      const content = await openSource(source, 'playlist', this.#context);
      this.#contents.push(content);
      for (const part of content.parts) {
        yield {
          origin: { name: content.name, type: content.type, url: part.url },
          sourceIndex,
          open: () => part.open(),
        };
      }
    }
  }

  /** What was read becomes the last good content: to be called when the run has succeeded. */
  async keep(): Promise<void> {
    for (const content of this.#contents) await content.keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const content of this.#contents) await content[Symbol.asyncDispose]();
  }
}
