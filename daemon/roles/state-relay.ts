/**
 * State relay: passes states on between workers that cannot reach each other.
 *
 *   a worker asks ──▶ pulled whole from the one that has it ──▶ kept for a moment ──▶ its blocks
 *
 * Workers behind different routers all reach the coordinator, and only the coordinator.
 */

import type { BlobName } from '../../proto/blob-names.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import type { Network } from '../ports.ts';

type StateBlob = Extract<BlobName, { kind: 'state' }>;

interface Relayed {
  readonly bytes: Uint8Array;
  readonly done: Promise<boolean>;
}

// Blocks of a blob are asked for one after the other; what was passed on long ago is not asked for.
const CACHE_BYTES = 64 * 1024 * 1024;

export class StateRelay {
  readonly #network: Network;
  readonly #relayed = new Map<string, Relayed>();
  readonly #stop = new AbortController();
  #bytes = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  /** The whole blob; undefined where none of the sources has it. */
  async read(blob: StateBlob, sources: readonly PeerId[]): Promise<Uint8Array | undefined> {
    const key = `${blob.boundary}/${blob.chunk}`;
    const known = this.#relayed.get(key) ?? this.#begin(key, blob, sources);
    return (await known.done) ? known.bytes : undefined;
  }

  close(): void {
    this.#stop.abort();
    this.#relayed.clear();
  }

  #begin(key: string, blob: StateBlob, sources: readonly PeerId[]): Relayed {
    const bytes = new Uint8Array(blob.bytes);
    const pulled = this.#network.pull(sources, blob, bytes, { signal: this.#stop.signal });
    const done = pulled.then(
      () => true,
      () => {
        this.#drop(key);
        return false;
      },
    );
    const relayed = { bytes, done };
    this.#relayed.set(key, relayed);
    this.#bytes += bytes.length;
    for (const oldest of this.#relayed.keys()) {
      if (this.#bytes <= CACHE_BYTES || oldest === key) break;
      this.#drop(oldest);
    }
    return relayed;
  }

  #drop(key: string): void {
    const relayed = this.#relayed.get(key);
    if (relayed === undefined) return;
    this.#relayed.delete(key);
    this.#bytes -= relayed.bytes.length;
  }
}
