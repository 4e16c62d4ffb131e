/**
 * Member exchange: members tell each other who is a member, and the founder tells the new key.
 *
 *   connected ──▶ all records ──▶ the other merges
 *   a record that changed something ──▶ everyone who is connected, and so on from there
 *
 * Who was away hears all of it on its next connection.
 */

import type { PeerId, PeerMessage } from '../../proto/peer-messages.ts';
import type { ClusterState } from '../core/membership/cluster-state.ts';
import { Roster } from '../core/membership/roster.ts';
import type { ConnectedPeer, Network } from '../ports.ts';
import { type Membership, newestKey } from './membership.ts';

// Half of the longest message, and fewer records than one may have.
const MESSAGE_BYTES_MAX: number = 32 * 1024;
const MESSAGE_RECORDS_MAX = 128;

export interface ExchangePorts {
  readonly network: Network;
  /** Epoch of the key that the connection to the peer was made with. */
  epochOf(peer: PeerId): number | undefined;
  /** A peer said what no member says. */
  complain(peer: PeerId, why: string): void;
}

export class MemberExchange {
  readonly #membership: Membership;
  readonly #ports: ExchangePorts;
  readonly #stopListening: () => void;
  readonly #stopFollowing: () => void;
  #toldRecords: readonly Uint8Array[] | undefined;
  #toldEpoch = 0;

  constructor(membership: Membership, ports: ExchangePorts) {
    this.#membership = membership;
    this.#ports = ports;
    const stops = [
      membership.onChange(() => this.#tellChange()),
      membership.onWritten((next) => this.#tellDeparted(next)),
    ];
    this.#stopFollowing = () => {
      for (const stop of stops) stop();
    };
    this.#stopListening = ports.network.listen({
      connected: (peer) => this.#greet(peer),
      message: (from, message) => {
        this.#hear(from, message).catch((error: unknown) => {
          ports.complain(from.peer, error instanceof Error ? error.message : String(error));
        });
      },
    });
  }

  close(): void {
    this.#stopFollowing();
    this.#stopListening();
  }

  #greet({ peer }: ConnectedPeer): void {
    const { state, isFounder } = this.#membership;
    if (state === undefined) return;
    this.#tellRecords(peer);
    const { epoch } = newestKey(state);
    const theirs = this.#ports.epochOf(peer);
    if (isFounder && theirs !== undefined && theirs < epoch) this.#tellKey(peer);
  }

  #tellRecords(to: PeerId): void {
    const { roster } = this.#membership.require();
    for (const records of batches(roster.records())) {
      this.#ports.network.send(to, { kind: 'members', records });
    }
  }

  #tellKey(to: PeerId): void {
    const { epoch, key } = newestKey(this.#membership.require().state);
    this.#ports.network.send(to, { kind: 'key-change', epoch, networkKey: key });
  }

  /** A member that is put out hears it, so that its owner may know. */
  #tellDeparted(next: ClusterState): void {
    const { verify } = this.#membership.ports.cryptography;
    const roster = new Roster(next.cluster, verify, next.records);
    for (const { peer } of this.#ports.network.peers()) {
      const record = roster.recordOf(peer);
      if (record === undefined || roster.roleOf(peer) !== undefined) continue;
      this.#ports.network.send(peer, { kind: 'members', records: [record] });
    }
  }

  /** To everyone who is connected and still a member. */
  #tellChange(): void {
    const { state, isFounder } = this.#membership;
    if (state === undefined) return;
    const { epoch } = newestKey(state);
    // What changed may be no business of others, such as an address.
    if (state.records === this.#toldRecords && epoch === this.#toldEpoch) return;
    this.#toldRecords = state.records;
    this.#toldEpoch = epoch;
    for (const { peer } of this.#ports.network.peers()) {
      if (this.#membership.roleOf(peer) === undefined) continue;
      this.#tellRecords(peer);
      const theirs = this.#ports.epochOf(peer);
      if (isFounder && theirs !== undefined && theirs < epoch) this.#tellKey(peer);
    }
  }

  async #hear({ peer }: ConnectedPeer, message: PeerMessage): Promise<void> {
    if (message.kind === 'members') await this.#membership.merge(message.records);
    if (message.kind !== 'key-change') return;
    // Only the founder makes keys: anyone else could cut a member off with one.
    if (peer !== this.#membership.state?.cluster) {
      this.#ports.complain(peer, 'it told a network key, which is the coordinator’s to tell');
      return;
    }
    await this.#membership.takeKey({ epoch: message.epoch, key: message.networkKey });
  }
}

function* batches(records: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const record of records) {
    if (batch.length === MESSAGE_RECORDS_MAX || bytes + record.length > MESSAGE_BYTES_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += record.length;
  }
  if (batch.length > 0) yield batch;
}
