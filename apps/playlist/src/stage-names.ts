import type { PlaylistConfig } from './config/config.ts';

/** The stages of a run, in the order of its report: known before it begins. A cleanup has a line whether or not there is one to be made. */
export function stageNames({ mapping, memory, output, guides }: PlaylistConfig): string[] {
  return [
    'Source Loading',
    ...(mapping.tidyNames ? ['Tidying'] : []),
    'Data Mapping',
    'Filtering',
    'Packing',
    'Duplicate Removal',
    'Numbering',
    ...(output.sort === 'none' ? [] : ['Sorting']),
    'Spooling',
    ...(memory.cleanupBetweenStages ? ['Cleanup'] : []),
    'Playlist Generation',
    ...(guides.length === 0 ? [] : ['Guide Generation']),
    'Publish',
  ];
}
