/** Requests as some systems have them, made up: for what a policy should be good at, or at least not bad. */

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Ranks of which the nth comes 1/n as often as the first. */
function zipfRank(keyCount: number, next: () => number): () => number {
  const sums = new Float64Array(keyCount);
  let sum = 0;
  for (let rank = 0; rank < keyCount; rank++) sums[rank] = sum += 1 / (rank + 1);
  return () => {
    const wanted = next() * sum;
    let [low, high] = [0, keyCount - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Popularity that never changes. */
export function zipf(keyCount: number, count: number, seed: number): Int32Array {
  return Int32Array.from({ length: count }, zipfRank(keyCount, random(seed)));
}

/** What is popular moves on by one key every `every` requests. */
export function zipfWithDrift(keyCount: number, every: number, count: number, seed: number): Int32Array {
  const rank = zipfRank(keyCount, random(seed));
  return Int32Array.from({ length: count }, (_, i) => rank() + Math.floor(i / every));
}

/** Every 5,000 requests 2,000 keys come once, one after the other. */
export function zipfWithScans(keyCount: number, count: number, seed: number): Int32Array {
  const rank = zipfRank(keyCount, random(seed));
  let scanned = 1_000_000;
  return Int32Array.from({ length: count }, (_, i) => (i % 7_000 < 2_000 ? scanned++ : rank()));
}

/** Each number of keys over and over, `count` requests of it. */
export function loops(sizes: readonly number[], count: number): Int32Array {
  return Int32Array.from({ length: sizes.length * count }, (_, i) => {
    const loop = Math.floor(i / count);
    return loop * 1_000_000 + (i % sizes[loop]!);
  });
}

/** A share of requests for keys that never come again, among some that do. */
export function oneHitWonders(keyCount: number, share: number, count: number, seed: number): Int32Array {
  const next = random(seed);
  const rank = zipfRank(keyCount, next);
  let once = 1_000_000;
  return Int32Array.from({ length: count }, () => (next() < share ? once++ : rank()));
}

/** New keys all the time, each asked for again a few times soon, with a distance of `depth` on average. */
export function recencyBiased(depth: number, count: number, seed: number): Int32Array {
  const next = random(seed);
  const keys = new Int32Array(count);
  for (let i = 0, fresh = 0; i < count; i++) {
    const back = Math.floor(-Math.log(1 - next()) * depth) + 1;
    keys[i] = next() < 0.3 || back > i ? fresh++ : keys[i - back]!;
  }
  return keys;
}
