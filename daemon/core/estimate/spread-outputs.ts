/**
 * Spread outputs: how much of each machine's disk outputs would take, where they go to all of them.
 *
 *   sizes + room beside the source ──▶ plan/output-placement.ts ──▶ bytes by machine
 *
 * As roles/open-assemblers.ts does it, but for machines that refuse when they are asked.
 */

import { placeOutputs } from '../plan/output-placement.ts';
import type { PlacedWork } from './place-work.ts';
import type { EstimateRequest } from './request.ts';

export interface SpreadOutputs {
  /** By machine; those that get none are absent. */
  readonly bytes: ReadonlyMap<string, number>;
  /** Of outputs for which no machine has room. */
  readonly homelessBytes: number;
}

/** @param reserveBytes what stays free where SOURCE is */
export function spreadOutputs(
  { plan, peers, room }: EstimateRequest,
  placed: Pick<PlacedWork, 'peers'>,
  reserveBytes: number,
): SpreadOutputs {
  const held = new Map(placed.peers.map(({ offer, heldBytes }) => [offer.peer, heldBytes]));
  const own = room === undefined ? 0 : room.freeBytes + room.allocatedBytes - reserveBytes;
  const rooms = peers.map(({ peer, isLocal, diskBytes }) => {
    return { peer, bytes: Math.max(0, isLocal ? own : diskBytes - (held.get(peer) ?? 0)) };
  });
  const sizes = plan.outputs.map(({ layout }) => ({ bytes: layout.fileBytes }));
  const bytes = new Map<string, number>();
  let homelessBytes = 0;
  placeOutputs(sizes, rooms).forEach((peer, output) => {
    const size = sizes[output]?.bytes ?? 0;
    if (peer === undefined) homelessBytes += size;
    else bytes.set(peer, (bytes.get(peer) ?? 0) + size);
  });
  return { bytes, homelessBytes };
}
