/**
 * Estimate run: what a run will need of each machine and how long it will take, before it begins.
 *
 *   EstimateRequest ──▶ placeWork ──▶ stageTimes, faultsOf ──▶ RunEstimate
 *
 * Pure: the same plan and offers give the same estimate. What is estimated from what is docs/plan.md.
 */

import type { EstimatedPeer, EstimateFault, Remedy, RunEstimate } from '../../../proto/estimate.ts';
import { type FitFault, type FitRemedy, faultsOf, RESERVE_BYTES } from './fit.ts';
import { type PeerWork, placeWork, type WeakPeer } from './place-work.ts';
import { type EstimateRequest, outputBytes } from './request.ts';
import { sizeText } from './size-text.ts';
import { spreadOutputs } from './spread-outputs.ts';
import { peerSeconds, type StageTimes, stageTimes, sum } from './times.ts';

export function estimateRun(request: EstimateRequest): RunEstimate {
  const placed = placeWork(request);
  const stages = stageTimes(request, placed);
  const { plan } = request;
  const allBytes = outputBytes(request);
  const spread =
    request.isSpread === true ? spreadOutputs(request, placed, RESERVE_BYTES) : undefined;
  const outputsOn = ({ peer, isLocal }: PeerWork['offer']): number =>
    spread === undefined ? (isLocal ? allBytes : 0) : (spread.bytes.get(peer) ?? 0);
  const peers = placed.peers.map((work) => {
    const seconds = peerSeconds(request, placed, stages, work);
    return estimatedPeer(request, work, seconds, outputsOn(work.offer));
  });
  return {
    sourceBytes: plan.sourceBytes,
    outputBytes: allBytes,
    downloadBytes: request.downloadBytes,
    fetchBytes: request.isFetchedApart === true ? 0 : sum(peers.map((each) => each.fetchBytes)),
    peers,
    weak: placed.weak.map((weak) => ({ name: weak.offer.name, why: whyWeak(weak) })),
    stages,
    // Disks that have room for it all together may have none for the row groups one by one.
    seconds: placed.homelessBytes > 0 ? null : wholeSeconds(stages),
    faults: faultsOf(request, placed).map((fault) => told(request, fault)),
    basis: basisOf(request),
  };
}

function estimatedPeer(
  { plan, room }: EstimateRequest,
  { offer, tasks, stage, heldBytes, ramBytes }: PeerWork,
  seconds: number | null,
  /** Of the outputs that grow there. */
  grownBytes: number,
): EstimatedPeer {
  const own = tasks.reduce((sum, task) => sum + (plan.tasks[task]?.group.sourceBytes ?? 0), 0);
  const all = plan.tasks.reduce((sum, { group }) => sum + group.sourceBytes, 0);
  const { name, isLocal, memoryBytes } = offer;
  return {
    ...{ name, isLocal, share: all === 0 ? 0 : own / all },
    ...(stage === undefined ? {} : { layers: { from: stage.from, to: stage.to } }),
    fetchBytes: heldBytes,
    diskBytes: heldBytes + grownBytes,
    diskOffered: isLocal ? (room?.freeBytes ?? null) : offer.diskBytes,
    ramBytes,
    ramOffered: memoryBytes,
    seconds,
  };
}

function wholeSeconds(stages: StageTimes): number | null {
  return stages.reduce<number | null>((sum, { seconds }) => {
    return sum === null || seconds === null ? null : sum + seconds;
  }, 0);
}

function whyWeak({ offer, for: part, neededBytes }: WeakPeer): string {
  const what = part === 'task' ? 'the smallest piece of the work' : 'a layer to be measured';
  return `it offers ${sizeText(offer.memoryBytes)} of RAM, ${what} needs ${sizeText(neededBytes)}`;
}

function told(request: EstimateRequest, { kind, why, remedies }: FitFault): EstimateFault {
  const { code, what, hint } = kind;
  return { code, what, why, hint, remedies: remedies.map((remedy) => named(request, remedy)) };
}

/** With the machine's name in place of its id. */
function named({ peers }: EstimateRequest, remedy: FitRemedy): Remedy {
  if (!('peer' in remedy)) return remedy;
  const { peer, ...rest } = remedy;
  return { ...rest, name: peers.find((offer) => offer.peer === peer)?.name ?? peer };
}

function basisOf({ peers, measuring, downloadBytes, isFetchedApart }: EstimateRequest): string[] {
  const others = peers.filter(({ isLocal }) => !isLocal);
  const all = [
    others.length === 0
      ? 'at the speed that this machine has just measured of itself'
      : 'at the speeds that the machines measured when they started; who is done early takes over from others',
    others.length === 0 ? '' : 'over a network of 1 Gbit/s',
    downloadBytes === 0 ? '' : `from the hub at 100 Mbit/s${isFetchedApart ? ' each' : ''}`,
    'with disks that keep up',
    measuring !== undefined && measuring.multiplicationsPerSecond === undefined
      ? 'how long measuring takes is not known before the weights are here'
      : '',
  ];
  return all.filter((sentence) => sentence !== '');
}
