/**
 * The unit that flows through a pipeline. A stage may hand on the same object again and again, filled anew: it is valid until
 * the next one is pulled, and both figures are read at the moment it changes hands.
 */
export interface Batch {
  /** What the batch costs in memory, bytes: its buffers at full size, not only what is filled. O(1). */
  readonly byteLength: number;
  /** Records in it that still count (channels not dropped, say). O(1). */
  readonly itemCount: number;
}
