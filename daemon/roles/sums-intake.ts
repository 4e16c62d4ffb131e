/**
 * Sums intake: sums of other machines on their way into the store.
 *
 *   told by a hint or a message ──▶ wanted? ──▶ pulled, compared with its digest ──▶ stored ──▶ kept
 *
 * However often and by whom they are told of, they are pulled once; what is not wanted any more its
 * maker may forget.
 */

import { FaultError } from '../../proto/fault.ts';
import type { HeldSums, PeerId, RunId } from '../../proto/peer-messages.ts';
import { groupSet } from '../core/importance/group-set.ts';
import { sumsDigest } from '../core/importance/partial-sums.ts';
import { checkSums, sumsBytes } from '../core/importance/statistics.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Kernels, Network } from '../ports.ts';
import { Credit } from './credit.ts';
import { measureFaults } from './measure-faults.ts';
import { isSame, type SumsStore } from './sums-store.ts';

export interface SumsIntakeParts {
  readonly run: RunId;
  readonly model: MeasuredModel;
  readonly store: SumsStore;
  /** Undefined where this machine measures alone. */
  readonly network: Network | undefined;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly sha256: Sha256;
  /** The chunks of a group that are taken out; undefined where there is no such group. */
  readonly leftOutOf: (group: number) => readonly number[] | undefined;
  readonly onStored: (
    layer: number,
    group: number,
    leftOut: readonly number[],
    bytes: Uint8Array,
  ) => Promise<void>;
  readonly onKept: (peer: PeerId, digest: Uint8Array) => void;
  readonly onPulled: (peer: PeerId, bytes: number) => void;
}

// Sums on their way at a time: each is held in memory until it is stored.
const PULL_BYTES_MAX = 64 * 1024 * 1024;
// A peer whose sums are this often not those of their digests cannot be worked with.
const STRIKES_MAX = 3;

export class SumsIntake {
  readonly #parts: SumsIntakeParts;
  readonly #pulling = new Set<string>();
  readonly #credit = new Credit(PULL_BYTES_MAX);
  readonly #strikes = new Map<PeerId, number>();
  readonly #stop = new AbortController();

  constructor(parts: SumsIntakeParts) {
    this.#parts = parts;
  }

  close(): void {
    this.#stop.abort();
  }

  /** @throws FaultError where a machine gives wrong bytes again and again */
  async take(from: PeerId, held: HeldSums): Promise<void> {
    const { store, onKept, onStored } = this.#parts;
    const [group] = held.groups;
    if (group === undefined || this.#stop.signal.aborted) return;
    if (!this.#isWanted(held, group) || store.has(held.layer, group)) {
      onKept(from, held.digest);
      return;
    }
    const key = hex(held.digest);
    // A hint and a message tell of the same.
    if (this.#pulling.has(key)) return;
    this.#pulling.add(key);
    const giveBack = await this.#credit.take(held.bytes);
    try {
      const bytes = await this.#pull(from, held);
      if (bytes === undefined) return;
      await onStored(held.layer, group, held.leftOut, bytes);
      onKept(from, held.digest);
    } finally {
      giveBack();
      this.#pulling.delete(key);
    }
  }

  #isWanted({ layer, groups, bytes, leftOut }: HeldSums, group: number): boolean {
    const statistics = this.#parts.model.statistics[layer];
    const taken = this.#parts.leftOutOf(group);
    if (statistics === undefined || taken === undefined) return false;
    return groups.length === 1 && bytes === sumsBytes(statistics) && isSame(leftOut, taken);
  }

  /** Undefined where the peer went away: it will say again what it has. */
  async #pull(from: PeerId, held: HeldSums): Promise<Uint8Array | undefined> {
    const { run, network, kernels, sha256, model, onPulled } = this.#parts;
    const { digest, bytes, layer, groups } = held;
    const into = new Uint8Array(bytes);
    try {
      const blob = { kind: 'sums', run, digest, bytes } as const;
      await network?.pull([from], blob, into, { signal: this.#stop.signal });
    } catch {
      return undefined;
    }
    const bytesDigest = await kernels.sha256(into);
    const found = sumsDigest(sha256, { layer, groups: groupSet(groups) }, bytesDigest);
    if (hex(found) === hex(digest)) {
      checkSums(model.statistics[layer] ?? [], into);
      onPulled(from, bytes);
      return into;
    }
    const strikes = (this.#strikes.get(from) ?? 0) + 1;
    this.#strikes.set(from, strikes);
    if (strikes >= STRIKES_MAX) throw new FaultError(measureFaults.keepsFailing, { why: from });
    return undefined;
  }
}
