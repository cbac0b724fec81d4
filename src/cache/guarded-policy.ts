import type { FailOpen } from '../fail-open.ts';
import { invalidOption } from '../invalid-option.ts';
import type { EvictionPolicy } from './eviction-policy.ts';

const VERBS = ['onInsert', 'onAccess', 'onRemove', 'victim', 'resize'] as const;

/** A policy of somebody else's, held in: what it throws is counted, and the cache goes on. */
export class GuardedPolicy implements EvictionPolicy {
  readonly name: string;
  /** Only where the policy has it: else entries stay where they are. */
  readonly onMove?: (from: number, to: number) => void;
  readonly #policy: EvictionPolicy;
  readonly #failOpen: FailOpen;

  /** Throws `RangeError` for what is no policy. */
  constructor(policy: EvictionPolicy, failOpen: FailOpen) {
    for (const verb of VERBS) {
      if (typeof policy?.[verb] === 'function') continue;
      throw invalidOption('policy', `a function that makes a policy: what it made has no \`${verb}\``, policy);
    }
    this.#policy = policy;
    this.#failOpen = failOpen;
    this.name = String(policy.name);
    if (policy.onMove === undefined) return;
    this.onMove = (from, to) => void this.#call(() => this.#policy.onMove?.(from, to));
  }

  onInsert(slot: number): void {
    this.#call(() => this.#policy.onInsert(slot));
  }

  onAccess(slot: number): void {
    this.#call(() => this.#policy.onAccess(slot));
  }

  onUpdate(slot: number, weightBefore: number): void {
    this.#call(() =>
      this.#policy.onUpdate === undefined ? this.#policy.onAccess(slot) : this.#policy.onUpdate(slot, weightBefore),
    );
  }

  onRemove(slot: number): void {
    this.#call(() => this.#policy.onRemove(slot));
  }

  victim(incomingWeight: number): number {
    const slot = this.#call(() => this.#policy.victim(incomingWeight));
    return Number.isInteger(slot) ? (slot as number) : -1;
  }

  resize(slotCount: number): void {
    this.#call(() => this.#policy.resize(slotCount));
  }

  onBound(): void {
    this.#call(() => this.#policy.onBound?.());
  }

  /** A promise is no answer, and may reject. */
  #call(act: () => unknown): unknown {
    const result = this.#failOpen.run(act, undefined);
    this.#failOpen.watch(result);
    return result;
  }
}
