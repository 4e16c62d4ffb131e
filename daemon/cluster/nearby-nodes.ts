/**
 * Nearby nodes: the doorbell of a machine that waits, and the coordinator that looks for doorbells.
 *
 *   openDoorbell ── mDNS, the key that everyone has ──▶ openBrowser
 *
 * Neither is part of a cluster: what is behind them is one protocol, for strangers.
 */

import type { PeerNode } from '../adapters/network/peer-node.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import {
  DOORBELL_PHRASE,
  DOORBELL_SERVICE,
  type Doorbell,
  OFFER_PROTOCOL,
} from '../roles/doorbell.ts';
import type { Nearby } from '../roles/nearby.ts';
import type { NodeBasis, StartNode } from './cluster-node.ts';

interface BellOptions {
  readonly startNode: StartNode;
  readonly basis: NodeBasis;
  readonly sha256: Sha256;
}

/** Announces this machine and answers whoever rings. */
export async function openDoorbell(
  options: BellOptions,
  listen: readonly string[],
  doorbell: Doorbell,
): Promise<PeerNode> {
  const node = await startBell(options, listen, true);
  node.answer(OFFER_PROTOCOL, 'strangers', async (from, request) => doorbell.answer(from, request));
  return node;
}

/** Looks for machines that wait; it opens no port. */
export async function openBrowser(
  options: BellOptions,
  makeNearby: (ask: (...asked: AskParameters) => Promise<Uint8Array>) => Nearby,
): Promise<{ nearby: Nearby; close(): Promise<void> }> {
  const node = await startBell(options, [], false);
  const nearby = makeNearby((target, request, signal) =>
    node.ask(target, OFFER_PROTOCOL, request, signal),
  );
  node.onDiscovered((peer, addresses) => nearby.discovered(peer, addresses));
  return {
    nearby,
    close: async () => {
      nearby.close();
      await node.stop();
    },
  };
}

type AskParameters = [
  target: Parameters<PeerNode['ask']>[0],
  request: Uint8Array,
  signal: AbortSignal,
];

function startBell(
  { startNode, basis, sha256 }: BellOptions,
  listen: readonly string[],
  admits: boolean,
): Promise<PeerNode> {
  const key = sha256(new TextEncoder().encode(DOORBELL_PHRASE));
  return startNode({
    ...basis,
    networkKeys: [{ epoch: 0, key }],
    listen,
    mdns: true,
    serviceTag: DOORBELL_SERVICE,
    roleOf: () => undefined,
    admitsStrangers: () => admits,
  });
}
