/**
 * Membership: what this machine holds of its cluster; every change is on disk before it counts.
 *
 *   cluster file ──▶ Membership ──▶ who is a member, the network keys
 *                        ▲
 *       update(decide) ──┘   one at a time: decide ──▶ write ──▶ tell
 *
 * Read next: admission.ts (the founder's side), joining.ts (the joiner's), member-exchange.ts.
 */

import { assert } from '../../proto/assert.ts';
import { NETWORK_KEYS_MAX } from '../../proto/cluster-file.ts';
import { FaultError } from '../../proto/fault.ts';
import type { MemberRole, PeerId } from '../../proto/peer-messages.ts';
import {
  type ClusterState,
  type NetworkKey,
  stateFromFile,
  stateToFile,
} from '../core/membership/cluster-state.ts';
import { clusterFaults } from '../core/membership/faults.ts';
import type { InviteContext } from '../core/membership/ledger.ts';
import { cleanName } from '../core/membership/names.ts';
import { peerIdOf } from '../core/membership/peer-id.ts';
import { NO_INVITE, sealRecord } from '../core/membership/records.ts';
import { Roster } from '../core/membership/roster.ts';
import { NETWORK_KEY_BYTES } from '../core/membership/token.ts';
import type { ClusterStore, Cryptography, Identity } from '../ports.ts';

export interface MembershipPorts {
  readonly identity: Identity;
  readonly cryptography: Cryptography;
  readonly store: ClusterStore;
  /** Milliseconds since 1970, as the user's clock says. */
  readonly wallClock: () => number;
}

export class Membership {
  readonly ports: MembershipPorts;
  readonly self: PeerId;
  #state: ClusterState | undefined;
  #roster: Roster | undefined;
  #lastChange: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<() => void>();
  readonly #heralds = new Set<(next: ClusterState) => void>();

  private constructor(ports: MembershipPorts) {
    this.ports = ports;
    this.self = peerIdOf(ports.identity.publicKey);
  }

  /** @throws FaultError where the file is damaged */
  static async open(ports: MembershipPorts): Promise<Membership> {
    const membership = new Membership(ports);
    const file = await ports.store.read();
    if (file !== undefined) membership.#hold(stateFromFile(file));
    return membership;
  }

  /** Undefined while this machine belongs to no cluster. */
  get state(): ClusterState | undefined {
    return this.#state;
  }

  /** @throws FaultError `noCluster` */
  require(): { readonly state: ClusterState; readonly roster: Roster } {
    if (this.#state === undefined || this.#roster === undefined) {
      throw new FaultError(clusterFaults.noCluster);
    }
    return { state: this.#state, roster: this.#roster };
  }

  get isFounder(): boolean {
    return this.#state?.cluster === this.self;
  }

  /** As the records say; asked on every connection. */
  roleOf(peer: PeerId): MemberRole | undefined {
    return this.#roster?.roleOf(peer);
  }

  /** What decides about invites at this moment. */
  inviteContext(): InviteContext {
    const { state, roster } = this.require();
    return { nowMs: this.ports.wallClock(), epoch: newestKey(state).epoch, roster };
  }

  /**
   * Changes what is held, after it is on disk; changes follow each other. `decide` gets the state
   * before and may throw: then nothing has changed. The same state back writes nothing.
   */
  update(decide: (state: ClusterState | undefined) => ClusterState | undefined): Promise<void> {
    const change = this.#lastChange.then(async () => {
      const next = decide(this.#state);
      if (next === this.#state) return;
      if (next === undefined) await this.ports.store.remove();
      else await this.ports.store.write(stateToFile(next));
      if (next !== undefined) for (const listener of this.#heralds) listener(next);
      this.#hold(next);
      for (const listener of this.#listeners) listener();
    });
    this.#lastChange = change.catch(() => undefined);
    return change;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when a state is on disk and before it counts: the last moment for who is put out. */
  onWritten(listener: (next: ClusterState) => void): () => void {
    this.#heralds.add(listener);
    return () => this.#heralds.delete(listener);
  }

  /** Begins a cluster with this machine as its only member; an older one is forgotten. */
  found(name: string): Promise<void> {
    const { identity, cryptography } = this.ports;
    const record = sealRecord(
      {
        kind: 'admit',
        cluster: this.self,
        sequence: 1,
        peer: this.self,
        name: cleanName(name),
        role: 'coordinator',
        invite: NO_INVITE,
      },
      (message) => identity.sign(message),
    );
    return this.update(() => ({
      cluster: this.self,
      networkKeys: [{ epoch: 1, key: cryptography.random(NETWORK_KEY_BYTES) }],
      records: [record],
      invites: [],
      addresses: {},
    }));
  }

  /**
   * Takes in signed records, from whomever they came; true if they changed anything.
   * @throws FaultError `badRecord` where the founder did not sign one of them
   */
  async merge(records: readonly Uint8Array[]): Promise<boolean> {
    let changed = false;
    await this.update((state) => {
      if (state === undefined) return state;
      const roster = this.require().roster.copy();
      for (const record of records) changed = roster.merge(record) || changed;
      return changed ? { ...state, records: roster.records() } : state;
    });
    return changed;
  }

  /** A newer network key, which only the founder may tell; older and equal ones change nothing. */
  takeKey(key: NetworkKey): Promise<void> {
    assert(key.key.length === NETWORK_KEY_BYTES, 'a network key has 32 bytes');
    return this.update((state) =>
      state === undefined || key.epoch <= newestKey(state).epoch ? state : withKey(state, key),
    );
  }

  forget(): Promise<void> {
    return this.update(() => undefined);
  }

  #hold(state: ClusterState | undefined): void {
    this.#state = state;
    this.#roster =
      state && new Roster(state.cluster, this.ports.cryptography.verify, state.records);
  }
}

export function newestKey(state: ClusterState): NetworkKey {
  const [newest] = state.networkKeys;
  assert(newest !== undefined, 'a cluster has a network key');
  return newest;
}

export function withKey(state: ClusterState, key: NetworkKey): ClusterState {
  return { ...state, networkKeys: [key, ...state.networkKeys].slice(0, NETWORK_KEYS_MAX) };
}
