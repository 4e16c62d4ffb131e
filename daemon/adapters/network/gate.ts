/**
 * Gate: who may be connected, and who may use what.
 *
 * Members always; strangers while an invitation is open, on the protocols that are meant for them;
 * and whoever this node itself asks something, for as long as it asks.
 */

import type { MemberRole, PeerId } from '../../../proto/peer-messages.ts';
import type { Access, NodeOptions } from './node-options.ts';

type GateOptions = Pick<NodeOptions, 'roleOf' | 'admitsStrangers'>;

export class Gate {
  readonly #options: GateOptions;
  readonly #asked = new Map<PeerId, number>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  roleOf(peer: PeerId): MemberRole | undefined {
    return this.#options.roleOf(peer);
  }

  admitsInbound(peer: PeerId): boolean {
    return this.roleOf(peer) !== undefined || this.#options.admitsStrangers();
  }

  admitsOutbound(peer: PeerId): boolean {
    return this.roleOf(peer) !== undefined || this.#asked.has(peer);
  }

  /** Of a connection that exists already, whoever began it. */
  admits(peer: PeerId): boolean {
    return this.admitsInbound(peer) || this.admitsOutbound(peer);
  }

  mayUse(peer: PeerId, access: Access): boolean {
    return access === 'members' ? this.roleOf(peer) !== undefined : this.admitsInbound(peer);
  }

  /** Lets this node connect to the peer until the returned function is called. */
  asking(peer: PeerId): () => void {
    this.#asked.set(peer, (this.#asked.get(peer) ?? 0) + 1);
    return () => {
      const left = (this.#asked.get(peer) ?? 1) - 1;
      if (left > 0) this.#asked.set(peer, left);
      else this.#asked.delete(peer);
    };
  }
}
