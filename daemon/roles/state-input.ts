/**
 * State input: takes what a stage begins with from whoever has it by now.
 *
 *   blob + who is named for it ──▶ own states, else a connected machine, else the relay ──▶ registers
 *
 * What a stage before it has not made yet is asked for again, and others may be named meanwhile.
 */

import { assert } from '../../proto/assert.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import type { Clock, Network } from '../ports.ts';
import type { KeptStates } from './kept-states.ts';
import { bytesOfNumbers, scatter } from './stage-io.ts';

export interface StateInputParts {
  readonly clock: Clock;
  /** Undefined where this machine measures alone. */
  readonly network: Network | undefined;
  /** What this machine has left itself; undefined where it leaves none. */
  readonly states: KeptStates | undefined;
  /** How sources call this machine. */
  readonly self: PeerId;
  /** Who passes on what is at machines that cannot be reached; undefined where this one does. */
  readonly relay: PeerId | undefined;
}

// A stage before this one that is long at a chunk, or has just died.
const ASK_AGAIN_MS = 200;

export class StateInput {
  readonly #parts: StateInputParts;

  constructor(parts: StateInputParts) {
    this.#parts = parts;
  }

  /**
   * Fills the registers; ends only with the blob or the signal.
   * @param sources who has, or will have, the blob; asked for anew before each try
   */
  async fill(
    blob: BlobName,
    into: readonly Float32Array[],
    sources: () => readonly PeerId[],
    signal: AbortSignal,
  ): Promise<void> {
    const [only] = into;
    const bytes =
      into.length === 1 && only !== undefined ? bytesOfNumbers(only) : new Uint8Array(blob.bytes);
    assert(bytes.length === blob.bytes, 'a blob has the size of its registers');
    for (;;) {
      signal.throwIfAborted();
      if (await this.#fetch(blob, bytes, sources(), signal)) break;
      await new Promise<void>((resolve) => this.#parts.clock.after(ASK_AGAIN_MS, resolve));
    }
    if (into.length > 1) scatter(bytes, into);
  }

  /** @returns whether the blob is there */
  async #fetch(
    blob: BlobName,
    into: Uint8Array,
    sources: readonly PeerId[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { network, states, self, relay } = this.#parts;
    if (sources.includes(self)) {
      assert(blob.kind === 'state', 'only states are left by a stage of this machine');
      const place = { total: blob.bytes, offset: 0, bytes: blob.bytes };
      const own = await states?.read(blob.boundary, blob.chunk, place);
      if (own !== undefined) into.set(own);
      if (own !== undefined || sources.length === 1) return own !== undefined;
    }
    if (network === undefined) return false;
    const connected = new Set(network.peers().map(({ peer }) => peer));
    const direct = sources.filter((peer) => connected.has(peer));
    const asked = direct.length === 0 && relay !== undefined ? [relay] : direct;
    if (asked.length === 0) return false;
    try {
      await network.pull(asked, blob, into, { signal });
      return true;
    } catch {
      // It is not made yet, or its maker is gone and another will be named.
      return false;
    }
  }
}
