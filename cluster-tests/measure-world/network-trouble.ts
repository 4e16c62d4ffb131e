/**
 * Network trouble: what befalls the words and bytes of one simulated measurement on their way.
 *
 *   Network, scenario ──▶ withTrouble ──▶ Network whose hints and blobs are not what they were
 */

import type { BlobProvider, Network } from '../../daemon/ports.ts';
import type { PeerMessage } from '../../proto/peer-messages.ts';
import { Violation } from '../simulator/violation.ts';
import type { World } from '../simulator/world.ts';
import type { MeasureScenario } from './measure-scenario.ts';

/** Whoever has stages to run is given nothing else meanwhile: told of each message that is sent. */
function watchLeases(network: Network): (to: string, message: PeerMessage) => void {
  const given = new Map<string, Set<string>>();
  network.listen({ disconnected: (peer) => given.delete(peer) });
  return (to, message) => {
    const leases = given.get(to) ?? new Set();
    given.set(to, leases);
    for (const over of endedBy(message)) leases.delete(over);
    const begun = begunBy(message);
    if (begun !== undefined) leases.add(begun);
    if (new Set([...leases].map((lease) => lease.split(' ')[0])).size > 1) {
      throw new Violation(`${to} is given tasks while it measures`);
    }
  };
}

function begunBy(message: PeerMessage): string | undefined {
  if (message.kind === 'stage-lease') return `stage ${message.lease}`;
  return message.kind === 'lease' ? `task ${message.task}` : undefined;
}

function endedBy(message: PeerMessage): string[] {
  if (message.kind === 'stage-kept') return message.leases.map((lease) => `stage ${lease}`);
  return message.kind === 'kept' ? message.tasks.map((task) => `task ${task}`) : [];
}

/** Word gets round as it does, or never, or twice; a provider's bytes are not what they were. */
export function withTrouble(
  network: Network,
  { hints, wrongBlobs, calmFromMs }: MeasureScenario,
  world: World,
): Network {
  const spoiled = (provider: BlobProvider): BlobProvider => ({
    ...provider,
    read: async (to, blob, offset, bytes) => {
      const block = await provider.read(to, blob, offset, bytes);
      const isChecked = ['source', 'sums', 'importance', 'block-run'].includes(blob.kind);
      const isTroubled = world.nowMs < calmFromMs && world.dice.chance(wrongBlobs);
      if (block === undefined || !isChecked || !isTroubled) return block;
      const copy = block.slice();
      const at = world.dice.between(0, bytes - 1);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    },
  });
  const see = watchLeases(network);
  return {
    self: network.self,
    peers: () => network.peers(),
    listen: (listener) => network.listen(listener),
    send: (to, message) => {
      see(to, message);
      network.send(to, message);
    },
    addressesOf: (peer) => network.addressesOf(peer),
    meet: (peer, addresses) => network.meet(peer, addresses),
    hint: (message) => {
      const times = { usual: 1, never: 0, twice: 2 }[hints];
      for (let told = 0; told < times; told++) network.hint(message);
    },
    pull: (sources, blob, into, options) => network.pull(sources, blob, into, options),
    serve: (provider) => network.serve(spoiled(provider)),
  };
}
