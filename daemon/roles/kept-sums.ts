/**
 * Kept sums: what a worker has summed, until the coordinator has it.
 *
 *   keep(layer, group) ──▶ the store ──▶ told as hints and again and again ──▶ pulled ──▶ kept there
 */

import type { HeldSums, RunId } from '../../proto/peer-messages.ts';
import { groupSet } from '../core/importance/group-set.ts';
import { sumsDigest } from '../core/importance/partial-sums.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Kernels, LeafStore } from '../ports.ts';
import { Turns } from './turns.ts';

export interface KeptSumsPorts {
  readonly store: LeafStore;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly sha256: Sha256;
}

export class KeptSums {
  readonly #run: RunId;
  readonly #ports: KeptSumsPorts;
  readonly #held = new Map<string, HeldSums>();
  readonly #turns = new Turns();

  constructor(run: RunId, ports: KeptSumsPorts) {
    this.#run = run;
    this.#ports = ports;
  }

  /** All that the coordinator has not said to have. */
  get held(): HeldSums[] {
    return [...this.#held.values()];
  }

  async keep(
    layer: number,
    group: number,
    leftOut: readonly number[],
    bytes: Uint8Array,
  ): Promise<HeldSums> {
    const { store, kernels, sha256 } = this.#ports;
    const groups = [group];
    const set = groupSet(groups);
    const digest = sumsDigest(sha256, { layer, groups: set }, await kernels.sha256(bytes));
    const held = { layer, groups, leftOut, digest, bytes: bytes.length };
    const key = hex(digest);
    await this.#turns.take(key, async () => {
      await store.put(this.#run, key, bytes);
      this.#held.set(key, held);
    });
    return held;
  }

  async read(
    digest: Uint8Array,
    place: { readonly total: number; readonly offset: number; readonly bytes: number },
  ): Promise<Uint8Array | undefined> {
    const key = hex(digest);
    if (this.#held.get(key)?.bytes !== place.total) return undefined;
    const into = new Uint8Array(place.bytes);
    const isThere = await this.#ports.store.readPart(this.#run, key, place.offset, into);
    return isThere ? into : undefined;
  }

  /** The coordinator has them. */
  async release(digests: readonly Uint8Array[]): Promise<void> {
    for (const digest of digests) {
      const key = hex(digest);
      await this.#turns.take(key, async () => {
        if (this.#held.delete(key)) await this.#ports.store.remove(this.#run, key);
      });
    }
  }
}
