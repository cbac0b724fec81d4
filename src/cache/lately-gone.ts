const LEAST_PLACES = 64;
/** 48 KiB. */
const MOST_PLACES = 4_096;
/** Places for each key that is remembered: one that comes in the place of another pushes it out. */
const PLACES_A_KEY = 2;

/**
 * Which keys went lately, by their hashes: those up to the last `reach` of weight. A part of the cache that had been larger by so much would still have them: who asks for one of them says
 * so. Of a large cache only a sample of the keys is remembered. 12 bytes a place, two places for each entry of a sixteenth of the cache, 48 KiB at most.
 *
 * After the ghost lists of N. Megiddo and D. Modha, "ARC: a self-tuning, low overhead replacement cache" (2003), without the lists.
 */
export class LatelyGone {
  #hashes = new Int32Array(LEAST_PLACES).fill(-1);
  /** All that had gone when this one went. */
  #goneAt = new Float64Array(LEAST_PLACES);
  #sampledMask = 0;
  #gone = 0;

  /** Makes it fit for so many keys. What is remembered is lost when that changes much. */
  resize(keys: number): void {
    let places = LEAST_PLACES;
    while (places < MOST_PLACES && places < PLACES_A_KEY * keys) places *= 2;
    let mask = 0;
    while (places * (mask + 1) < PLACES_A_KEY * keys) mask = 2 * mask + 1;
    this.#sampledMask = mask;
    if (places === this.#hashes.length) return;
    this.#hashes = new Int32Array(places).fill(-1);
    this.#goneAt = new Float64Array(places);
  }

  clear(): void {
    this.#hashes.fill(-1);
  }

  /** Whether a key is in the sample; `hash` is 31 mixed bits. Not those that other tables choose by. */
  follows(hash: number): boolean {
    return ((hash >>> 12) & this.#sampledMask) === 0;
  }

  add(hash: number, weight: number): void {
    this.#gone += weight;
    if (!this.follows(hash)) return;
    const place = this.#placeOf(hash);
    this.#hashes[place] = hash;
    this.#goneAt[place] = this.#gone;
  }

  /** Whether a key that is followed is among the last `reach` that went. It is forgotten then. */
  take(hash: number, reach: number): boolean {
    const place = this.#placeOf(hash);
    if (this.#hashes[place] !== hash) return false;
    this.#hashes[place] = -1;
    return this.#gone - this.#goneAt[place]! < reach;
  }

  #placeOf(hash: number): number {
    return (hash ^ (hash >>> 15)) & (this.#hashes.length - 1);
  }
}
