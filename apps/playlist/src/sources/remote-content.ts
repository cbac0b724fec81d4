import type { GuideConfig, SourceConfig } from '../config/config.ts';
import type { SourceContent, SourceContext } from './source-content.ts';
import { SourceError } from './source-error.ts';

export async function openRemote(
  config: SourceConfig | GuideConfig,
  _kind: 'playlist' | 'guide',
  _context: SourceContext,
): Promise<SourceContent> {
  throw new SourceError(`source ${config.name}`, 'remote sources are not built yet', { fault: 'unsupported' });
}
