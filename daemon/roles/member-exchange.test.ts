/**
 * Goal: whatever is said, only what the founder signed counts, and only the founder's key is
 * taken. Method: the real role between a store in memory and a network that is a list.
 */

import { expect, test } from 'vitest';
import type { PeerMessage } from '../../proto/peer-messages.ts';
import { cryptography, identityOf } from '../adapters/cryptography.ts';
import { peerIdOf } from '../core/membership/peer-id.ts';
import { type MemberRecord, NO_INVITE, sealRecord } from '../core/membership/records.ts';
import type { ClusterStore, ConnectedPeer, Network, NetworkListener } from '../ports.ts';
import { MemberExchange } from './member-exchange.ts';
import { Membership, newestKey } from './membership.ts';

const founder = identityOf(new Uint8Array(32).fill(1));
const cluster = peerIdOf(founder.publicKey);
const identities = Array.from({ length: 60 }, (_, n) => identityOf(new Uint8Array(32).fill(n + 2)));
const peers = identities.map(({ publicKey }) => peerIdOf(publicKey));
const [self = '', other = ''] = peers;

class ListNetwork implements Network {
  readonly self = self;
  readonly said: { to: string; message: PeerMessage }[] = [];
  #listener: NetworkListener = {};
  #peers: ConnectedPeer[] = [];

  peers(): readonly ConnectedPeer[] {
    return this.#peers;
  }

  listen(listener: NetworkListener): () => void {
    this.#listener = listener;
    return () => undefined;
  }

  send(to: string, message: PeerMessage): void {
    this.said.push({ to, message });
  }

  async addressesOf(): Promise<readonly string[]> {
    return [];
  }

  meet(): void {}

  hint(): void {}

  async pull(): Promise<void> {
    throw new Error('nothing is pulled here');
  }

  serve(): () => void {
    return () => undefined;
  }

  connect(peer: string): ConnectedPeer {
    const connected: ConnectedPeer = {
      peer,
      role: 'worker',
      hello: {
        ...{ kind: 'hello', version: '1', contract: 'det-1', name: 'x', isa: 'scalar' },
        ...{
          threads: 1,
          ramBytes: 1,
          diskBytes: 1,
          bytesPerSecond: 1,
          multiplicationsPerSecond: 1,
        },
      },
    };
    this.#peers.push(connected);
    this.#listener.connected?.(connected);
    return connected;
  }

  hear(from: ConnectedPeer, message: PeerMessage): void {
    this.#listener.message?.(from, message);
  }
}

const seal = (record: MemberRecord, by = founder): Uint8Array =>
  sealRecord(record, (message) => by.sign(message));
const admits = (peer: string, sequence: number): MemberRecord => ({
  ...{ kind: 'admit', cluster, sequence, peer, name: 'box' },
  ...{ role: 'worker', invite: NO_INVITE },
});

async function member(records: readonly Uint8Array[]): Promise<{
  membership: Membership;
  network: ListNetwork;
  complaints: string[];
}> {
  const store: ClusterStore = {
    read: async () => undefined,
    write: async () => undefined,
    remove: async () => undefined,
  };
  const identity = identities[0] ?? founder;
  const ports = { identity, cryptography, store, wallClock: () => 0 };
  const membership = await Membership.open(ports);
  const networkKeys = [{ epoch: 1, key: new Uint8Array(32) }];
  await membership.update(() => ({ cluster, networkKeys, records, invites: [], addresses: {} }));
  const network = new ListNetwork();
  const complaints: string[] = [];
  new MemberExchange(membership, {
    network,
    epochOf: () => 1,
    complain: (_, why) => complaints.push(why),
  });
  return { membership, network, complaints };
}

const heard = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a forged record is a complaint and changes nothing', async () => {
  const own = seal(admits(self, 1));
  const { membership, network, complaints } = await member([own]);
  const from = network.connect(cluster);
  const forger = identities[1] ?? founder;
  network.hear(from, {
    kind: 'members',
    records: [
      seal(admits(other, 2), forger),
      seal({ kind: 'revoke', cluster, sequence: 9, peer: self }, forger),
    ],
  });
  await heard();
  expect(complaints).toEqual([expect.stringContaining('QD-8221')]);
  expect(membership.require().state.records).toEqual([own]);
  network.hear(from, { kind: 'members', records: [seal(admits(other, 2))] });
  await heard();
  expect(membership.roleOf(other)).toBe('worker');
});

test('a key is taken from the founder alone', async () => {
  const { membership, network, complaints } = await member([
    seal(admits(self, 1)),
    seal(admits(other, 2)),
  ]);
  const key = { kind: 'key-change', epoch: 2, networkKey: new Uint8Array(32).fill(7) } as const;
  network.hear(network.connect(other), key);
  await heard();
  expect(complaints).toHaveLength(1);
  expect(newestKey(membership.require().state).epoch).toBe(1);
  network.hear(network.connect(cluster), key);
  await heard();
  expect(newestKey(membership.require().state)).toEqual({ epoch: 2, key: key.networkKey });
});

test('all records are told to who comes, what is new to who is there, in messages of limited size', async () => {
  const records = peers.map((peer, n) => seal(admits(peer, n + 1)));
  const { network } = await member(records);
  network.connect(cluster);
  const told = network.said.flatMap(({ message }) =>
    message.kind === 'members' ? message.records : [],
  );
  expect(told).toHaveLength(records.length);
  const before = network.said.length;
  const news = seal({ kind: 'revoke', cluster, sequence: 99, peer: other });
  network.hear(network.connect(peers[5] ?? ''), { kind: 'members', records: [news, news] });
  await heard();
  const after = network.said
    .slice(before)
    .flatMap(({ message }) => (message.kind === 'members' ? message.records : []));
  expect(after).toContainEqual(news);
  for (const { message } of network.said) {
    if (message.kind !== 'members') continue;
    expect(message.records.length).toBeLessThanOrEqual(128);
    expect(message.records.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(
      32_768,
    );
  }
});
