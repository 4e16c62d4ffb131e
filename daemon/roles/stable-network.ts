/**
 * Stable network: one Network for the roles, whatever node is behind it at the moment.
 *
 *   node of the old key ──▶ disconnected … ──▶ node of the new key ──▶ connected …
 *
 * Listeners and providers outlive the change of the network key, and see nothing of it but peers
 * that go and come.
 */

import { FaultError } from '../../proto/fault.ts';
import type { PeerId, PeerMessage, SumsHeld } from '../../proto/peer-messages.ts';
import { clusterFaults } from '../core/membership/faults.ts';
import type { BlobProvider, ConnectedPeer, Network, NetworkListener } from '../ports.ts';

export class StableNetwork implements Network {
  readonly self: PeerId;
  #current: Network | undefined;
  // With what ends each in the node of the moment.
  readonly #listeners = new Map<NetworkListener, () => void>();
  readonly #providers = new Map<BlobProvider, () => void>();

  constructor(self: PeerId) {
    this.self = self;
  }

  /** Puts another node behind it, or none. */
  use(next: Network | undefined): void {
    const gone = this.peers();
    for (const stop of [...this.#listeners.values(), ...this.#providers.values()]) stop();
    this.#current = next;
    for (const listener of [...this.#listeners.keys()]) {
      for (const { peer } of gone) listener.disconnected?.(peer);
      // A listener may have left on what it heard.
      if (this.#listeners.has(listener)) this.#listeners.set(listener, this.#attach(listener));
    }
    for (const provider of this.#providers.keys()) {
      this.#providers.set(provider, next?.serve(provider) ?? (() => undefined));
    }
  }

  peers(): readonly ConnectedPeer[] {
    return this.#current?.peers() ?? [];
  }

  listen(listener: NetworkListener): () => void {
    // Of its own, so that the same listener may be given twice.
    const own = { ...bound(listener) };
    this.#listeners.set(own, () => undefined);
    this.#listeners.set(own, this.#attach(own));
    return () => {
      this.#listeners.get(own)?.();
      this.#listeners.delete(own);
    };
  }

  send(to: PeerId, message: PeerMessage): void {
    this.#current?.send(to, message);
  }

  async addressesOf(peer: PeerId): Promise<readonly string[]> {
    return (await this.#current?.addressesOf(peer)) ?? [];
  }

  meet(peer: PeerId, addresses: readonly string[]): void {
    this.#current?.meet(peer, addresses);
  }

  hint(message: SumsHeld): void {
    this.#current?.hint(message);
  }

  async pull(...pulled: Parameters<Network['pull']>): Promise<void> {
    if (this.#current === undefined) throw new FaultError(clusterFaults.noCluster);
    await this.#current.pull(...pulled);
  }

  serve(provider: BlobProvider): () => void {
    const own: BlobProvider = {
      read: (...asked) => provider.read(...asked),
      sent: (...told) => provider.sent?.(...told),
    };
    this.#providers.set(own, this.#current?.serve(own) ?? (() => undefined));
    return () => {
      this.#providers.get(own)?.();
      this.#providers.delete(own);
    };
  }

  #attach(listener: NetworkListener): () => void {
    return this.#current?.listen(listener) ?? (() => undefined);
  }
}

function bound(listener: NetworkListener): NetworkListener {
  return {
    connected: (peer) => listener.connected?.(peer),
    disconnected: (peer) => listener.disconnected?.(peer),
    message: (from, message) => listener.message?.(from, message),
    hint: (from, message) => listener.hint?.(from, message),
  };
}
