/** `f_type` of Linux file systems that stand on a disk which one machine has at a time (linux/magic.h, and what ZFS says of itself). */
const LOCAL_DISKS: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0xf2f52010, // f2fs
  0x2fc12fc1, // zfs
  0x794c7630, // overlay: its upper layer is one of these
]);

/** Whether only this machine can have files there now. False for network and shared file systems, and for those that are not known. */
export function isLocalDisk(type: number | bigint, platform: string = process.platform): boolean {
  return platform === 'linux' && LOCAL_DISKS.has(Number(BigInt.asUintN(32, BigInt(type))));
}
