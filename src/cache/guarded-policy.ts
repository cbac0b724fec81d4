import type { FailOpen } from '../fail-open.ts';
import type { EvictionPolicy } from './eviction-policy.ts';

/** A policy of somebody else's, held in: what it throws is counted, and the cache goes on. */
export class GuardedPolicy implements EvictionPolicy {
  readonly name: string;
  readonly #policy: EvictionPolicy;
  readonly #failOpen: FailOpen;

  constructor(policy: EvictionPolicy, failOpen: FailOpen) {
    this.#policy = policy;
    this.#failOpen = failOpen;
    this.name = String(policy.name);
  }

  onInsert(slot: number): void {
    this.#failOpen.run(() => this.#policy.onInsert(slot), undefined);
  }

  onAccess(slot: number): void {
    this.#failOpen.run(() => this.#policy.onAccess(slot), undefined);
  }

  onUpdate(slot: number, weightBefore: number): void {
    this.#failOpen.run(() => {
      if (this.#policy.onUpdate === undefined) this.#policy.onAccess(slot);
      else this.#policy.onUpdate(slot, weightBefore);
    }, undefined);
  }

  onRemove(slot: number): void {
    this.#failOpen.run(() => this.#policy.onRemove(slot), undefined);
  }

  victim(incomingWeight: number): number {
    const slot = this.#failOpen.run(() => this.#policy.victim(incomingWeight), -1);
    return Number.isInteger(slot) ? slot : -1;
  }

  resize(slotCount: number): void {
    this.#failOpen.run(() => this.#policy.resize(slotCount), undefined);
  }

  onBound(): void {
    this.#failOpen.run(() => this.#policy.onBound?.(), undefined);
  }
}
