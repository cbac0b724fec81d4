import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** How the kernel hands out address space and pages. Each is absent where it does not say. Plain data. */
export interface KernelSettings {
  /** 0: by judgement; 1: always; 2: never more than there is, which refuses what V8 and WebAssembly only set aside. */
  readonly overcommit?: 0 | 1 | 2;
  /** How many mappings a process may have. */
  readonly maxMapCount?: number;
  /** Whether pages of 2 MiB are put in place of small ones unasked: what is freed of one then stays. */
  readonly hugePages?: 'always' | 'madvise' | 'never';
}

/** Reads three small files under `root`; never throws. Sources: Documentation/admin-guide/sysctl/vm.rst and mm/transhuge.rst of the kernel. */
export function readKernelSettings(root = '/'): KernelSettings {
  const overcommit = numberIn(root, 'proc/sys/vm/overcommit_memory');
  const maxMapCount = numberIn(root, 'proc/sys/vm/max_map_count');
  const hugePages = /\[(always|madvise|never)\]/.exec(textIn(root, 'sys/kernel/mm/transparent_hugepage/enabled'))?.[1];
  return {
    ...(overcommit === 0 || overcommit === 1 || overcommit === 2 ? { overcommit } : {}),
    ...(maxMapCount === undefined ? {} : { maxMapCount }),
    ...(hugePages === undefined ? {} : { hugePages: hugePages as 'always' | 'madvise' | 'never' }),
  };
}

function numberIn(root: string, path: string): number | undefined {
  const text = textIn(root, path).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function textIn(root: string, path: string): string {
  try {
    return readFileSync(join(root, path), 'latin1');
  } catch {
    return '';
  }
}
