/**
 * Planted bugs: ways to lose a defence, put between the real roles and their world.
 *
 *   Plant ──▶ simulate(seed, { plant }) ──▶ a violation, or the simulator is blind to it
 *
 * The code itself stays as it is: a check is undone by answering it with what it wants to hear.
 */

import type { ConnectedPeer, Kernels, Network, NetworkListener } from '../../daemon/ports.ts';
import { leafKey } from '../../daemon/roles/leaf-digests.ts';
import type { PeerMessage } from '../../proto/peer-messages.ts';
import { type HolderPorts, nothingPlanted, type Plant } from './daemons.ts';
import { calmNetwork, type NetworkTrouble } from './false-network.ts';
import type { Scenario } from './scenario.ts';
import { sha256 } from './sha256.ts';

export interface PlantedBug {
  readonly name: string;
  readonly plant: Plant;
  /** The trouble that the lost defence is there for. */
  readonly scenario: Partial<Scenario>;
}

const withTrouble = (trouble: Partial<NetworkTrouble>): Partial<Scenario> => ({
  kind: 'troubled',
  network: { ...calmNetwork, ...trouble },
});

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'a block run is taken for what its sender says it is',
    scenario: { ...withTrouble({ wrongBlocks: 0.3 }), workers: 2, coordinatorWorks: false },
    plant: {
      ...nothingPlanted,
      assembler: (assembler) => {
        const write = assembler.write.bind(assembler);
        assembler.write = (run, bytes) => write(run, bytes, sha256(bytes));
        return assembler;
      },
      coordinator: ({ network, kernels }) => {
        const said = new Map<string, Uint8Array>();
        const trust = new Trust(kernels);
        return {
          kernels: trust.kernels,
          network: {
            ...forward(network),
            listen: (listener) =>
              listenTo(network, listener, (message) => {
                if (message.kind !== 'answer') return message;
                for (const { unit, digest } of message.made) said.set(unit, digest);
                return message;
              }),
            pull: async (sources, blob, into, options) => {
              await network.pull(sources, blob, into, options);
              if (blob.kind === 'block-run') trust.believe(into, said.get(blob.unit));
            },
          },
        };
      },
    },
  },
  {
    name: 'an output is sealed without being read back',
    scenario: { kind: 'troubled', badWrites: 0.1 },
    plant: {
      ...nothingPlanted,
      assembler: (assembler) => {
        assembler.verify = () => Promise.resolve([]);
        return assembler;
      },
    },
  },
  {
    name: 'a lease is said only once',
    scenario: { ...withTrouble({ lostMessages: 0.3 }), workers: 1, coordinatorWorks: false },
    plant: {
      ...nothingPlanted,
      coordinator: (ports) => ({ ...ports, network: saidOnce(ports, 'lease') }),
    },
  },
  {
    name: 'an answer is said only once',
    scenario: { ...withTrouble({ lostMessages: 0.3 }), workers: 1, coordinatorWorks: false },
    plant: {
      ...nothingPlanted,
      holder: (ports) => ({ ...ports, network: saidOnce(ports, 'answer') }),
    },
  },
  {
    name: 'source bytes are pulled without their digests',
    scenario: { ...withTrouble({ wrongBlocks: 0.3 }), workers: 2 },
    plant: {
      ...nothingPlanted,
      holder: ({ network, ...ports }) => ({
        ...ports,
        network: {
          ...forward(network),
          pull: (sources, blob, into, { signal }) => network.pull(sources, blob, into, { signal }),
        },
      }),
    },
  },
  {
    name: 'weights are pulled and not compared with their digest',
    scenario: { ...withTrouble({ wrongBlocks: 0.3 }), workers: 2 },
    plant: {
      ...nothingPlanted,
      holder: ({ network, kernels, store }) => {
        const trust = new Trust(kernels);
        const pull: Network['pull'] = async (sources, blob, into, options) => {
          await network.pull(sources, blob, into, options);
          if (blob.kind === 'importance') trust.believe(into, blob.digest);
        };
        return { store, kernels: trust.kernels, network: { ...forward(network), pull } };
      },
    },
  },
  {
    name: 'what the store gives back is not compared with its digests',
    scenario: { kind: 'troubled', workers: 1, coordinatorWorks: false, network: calmNetwork },
    plant: { ...nothingPlanted, holder: trustStore },
  },
  {
    name: 'a worker is given leases without regard to its memory',
    scenario: { kind: 'calm', network: calmNetwork, misfortunes: [] },
    plant: {
      ...nothingPlanted,
      coordinator: ({ network, kernels }) => ({ kernels, network: roomier(network, 'ramBytes') }),
    },
  },
  {
    name: 'a worker is given source without regard to its disk',
    scenario: { kind: 'calm', network: calmNetwork, misfortunes: [], coordinatorWorks: true },
    plant: {
      ...nothingPlanted,
      coordinator: ({ network, kernels }) => ({ kernels, network: roomier(network, 'diskBytes') }),
    },
  },
];

/** An object of a network's methods, some of which may be replaced. */
function forward(network: Network): Network {
  return {
    self: network.self,
    peers: () => network.peers(),
    listen: (listener) => network.listen(listener),
    send: (to, message) => network.send(to, message),
    addressesOf: (peer) => network.addressesOf(peer),
    meet: (peer, addresses) => network.meet(peer, addresses),
    hint: (message) => network.hint(message),
    pull: (sources, blob, into, options) => network.pull(sources, blob, into, options),
    serve: (provider) => network.serve(provider),
  };
}

function listenTo(
  network: Network,
  listener: NetworkListener,
  change: (message: PeerMessage) => PeerMessage,
): () => void {
  return network.listen({
    connected: (peer) => listener.connected?.(peer),
    disconnected: (peer) => listener.disconnected?.(peer),
    message: (from, message) => listener.message?.(from, change(message)),
  });
}

/** Kernels that say of some bytes what their digest should be, not what it is. */
class Trust {
  readonly kernels: Kernels;
  readonly #believed = new WeakMap<ArrayBufferLike, Map<number, Uint8Array>>();

  constructor(kernels: Kernels) {
    this.kernels = {
      ...kernels,
      sha256: (bytes) => {
        const digest = this.#believed.get(bytes.buffer)?.get(bytes.byteOffset);
        return digest === undefined ? kernels.sha256(bytes) : Promise.resolve(digest);
      },
    };
  }

  believe({ buffer, byteOffset }: Uint8Array, digest: Uint8Array | undefined): void {
    if (digest === undefined) return;
    const places = this.#believed.get(buffer) ?? new Map<number, Uint8Array>();
    this.#believed.set(buffer, places.set(byteOffset, digest));
  }
}

/** Messages of the kind that were sent before are not sent again. */
function saidOnce({ network }: { network: Network }, kind: 'lease' | 'answer'): Network {
  const said = new Set<string>();
  return {
    ...forward(network),
    send: (to, message) => {
      if (message.kind === kind) {
        const name = `${to} ${message.task}`;
        if (said.has(name)) return;
        said.add(name);
      }
      network.send(to, message);
    },
  };
}

function trustStore({ network, kernels, store }: HolderPorts): HolderPorts {
  const trust = new Trust(kernels);
  const leaves = new Map<string, readonly Uint8Array[]>();
  return {
    kernels: trust.kernels,
    network: {
      ...forward(network),
      listen: (listener) =>
        listenTo(network, listener, (message) => {
          if (message.kind !== 'lease') return message;
          for (const piece of message.pieces) leaves.set(leafKey(sha256, piece), piece.leaves);
          return message;
        }),
    },
    store: {
      get bytes() {
        return store.bytes;
      },
      read: async (run, key, into) => {
        const isThere = await store.read(run, key, into);
        // The models of these seeds have one leaf a piece.
        if (isThere) trust.believe(into, leaves.get(key)?.[0]);
        return isThere;
      },
      readPart: (run, key, offset, into) => store.readPart(run, key, offset, into),
      path: (run, key) => store.path(run, key),
      remove: (run, key) => store.remove(run, key),
      put: (run, key, bytes) => store.put(run, key, bytes),
      drop: (run) => store.drop(run),
    },
  };
}

/** Peers that seem to offer more than they do. */
function roomier(network: Network, what: 'ramBytes' | 'diskBytes'): Network {
  const larger = (peer: ConnectedPeer): ConnectedPeer => ({
    ...peer,
    hello: { ...peer.hello, [what]: peer.hello[what] * 100 + 1_000_000 },
  });
  return {
    ...forward(network),
    peers: () => network.peers().map(larger),
    listen: ({ connected, ...listener }) =>
      network.listen({ ...listener, connected: (peer) => connected?.(larger(peer)) }),
  };
}
