import type { GuideConfig, SourceConfig } from '../config/config.ts';
import { openLocal } from './local-content.ts';
import type { SourceContent, SourceContext } from './source-content.ts';

/**
 * Makes a source's content available: finds local files, downloads what is remote into the cache folder. Memory is flat
 * whatever the size. A source that fails keeps its last good content, with a warning; without any it throws `SourceError`
 * (`PLIMSOLL_PLAYLIST_SOURCE`), one line that holds no credential.
 */
export async function openSource(
  config: SourceConfig | GuideConfig,
  kind: 'playlist' | 'guide',
  context: SourceContext,
): Promise<SourceContent> {
  const { origin } = config;
  if (origin.kind === 'path') return openLocal(config, kind, origin.pattern, context);
  const { openRemote } = await import('./remote-content.ts');
  return openRemote(config, kind, context);
}
