/**
 * Member registrar: lets a libp2p service speak to members alone.
 *
 * Streams of anyone else are reset before the service sees them, and the service never hears that
 * such a peer is there. (libp2p's own middleware is not used for it: version 3.3.11 adds the
 * handler to the stored middleware at every stream, so that each call makes the next one longer.)
 */

import type { GossipSubComponents } from '@libp2p/gossipsub';
import type { Gate } from './gate.ts';

type Registrar = GossipSubComponents['registrar'];

export function membersOnly(registrar: Registrar, gate: Gate): Registrar {
  const isMember = (peer: { toString(): string }): boolean =>
    gate.roleOf(peer.toString()) !== undefined;
  return {
    handle: (protocol, handler, options) =>
      registrar.handle(
        protocol,
        (stream, connection) =>
          isMember(connection.remotePeer)
            ? handler(stream, connection)
            : stream.abort(new Error('not a protocol for that peer')),
        options,
      ),
    register: (protocol, topology, options) =>
      registrar.register(
        protocol,
        {
          ...topology,
          onConnect: (peer, connection) => {
            if (isMember(peer)) topology.onConnect?.(peer, connection);
          },
          onDisconnect: (peer) => topology.onDisconnect?.(peer),
        },
        options,
      ),
    unregister: (id) => registrar.unregister(id),
    unhandle: (protocol, options) => registrar.unhandle(protocol, options),
    getProtocols: () => registrar.getProtocols(),
    getHandler: (protocol) => registrar.getHandler(protocol),
    getTopologies: (protocol) => registrar.getTopologies(protocol),
    use: (protocol, middleware) => registrar.use(protocol, middleware),
    unuse: (protocol) => registrar.unuse(protocol),
    getMiddleware: (protocol) => registrar.getMiddleware(protocol),
  };
}
