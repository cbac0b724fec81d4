/** `f_type` of Linux file systems whose files are memory (linux/magic.h). */
const MEMORY_BACKED: Readonly<Record<number, string>> = {
  16914836: 'tmpfs',
  2240043254: 'ramfs',
  2508478710: 'hugetlbfs',
};

/** The name of the file system by its type as `statfs` has it, when its files are memory. On systems other than Linux the numbers mean something else: undefined. */
export function memoryBackedName(type: number | bigint, platform: string = process.platform): string | undefined {
  return platform === 'linux' ? MEMORY_BACKED[Number(BigInt.asUintN(32, BigInt(type)))] : undefined;
}
