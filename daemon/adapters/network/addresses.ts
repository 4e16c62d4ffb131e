/** Addresses: multiaddrs of a peer, read and completed with its id. */

import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { FaultError } from '../../../proto/fault.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { networkFaults } from './faults.ts';

/** A machine has a few interfaces; a list without end would only be a list of dials. */
export const ADDRESSES_MAX = 16;

/**
 * Each ending in /p2p/<peer>.
 * @throws FaultError for text that is no multiaddr, or names another peer
 */
export function dialable(peer: PeerId, addresses: readonly string[]): Multiaddr[] {
  return addresses.map((text) => {
    try {
      const address = multiaddr(text);
      const named = address.getComponents().findLast(({ name }) => name === 'p2p')?.value;
      if (named === undefined) return address.encapsulate(`/p2p/${peer}`);
      if (named === peer) return address;
    } catch (cause) {
      throw new FaultError(networkFaults.badAddress, { key: text.slice(0, 100) }, { cause });
    }
    throw new FaultError(networkFaults.badAddress, {
      key: text.slice(0, 100),
      why: `it is the address of another peer than ${peer}`,
    });
  });
}
