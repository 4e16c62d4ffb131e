/**
 * Times: how long the stages of a run take.
 *
 *   EstimateRequest + PlacedWork ──▶ stageTimes, peerSeconds ──▶ seconds
 *
 * Quantizing is taken as evened out: who is done early takes over from others, so that all end
 * together. Measuring is not: a stage stays with its machines, and the slowest one is waited for.
 */

import type { RunEstimate } from '../../../proto/estimate.ts';
import { GROUP_CHUNKS } from '../calibration/chunks.ts';
import type { Plan } from '../plan/plan.ts';
import type { Stage } from '../schedule/stages.ts';
import type { PeerWork, PlacedWork } from './place-work.ts';
import {
  type EstimateOffer,
  type EstimateRequest,
  hasSource,
  type MeasuringWork,
  taskSeconds,
} from './request.ts';

export type StageTimes = RunEstimate['stages'];

// What is left of a network of 1 Gbit/s. Nobody measures the network, so it is taken for the most
// usual one: what all other machines get comes from one machine, and what they make goes there.
export const LINK_BYTES_PER_SECOND = 110e6;
// And from a hub at 100 Mbit/s: so much does a home have at least that downloads models.
const HUB_BYTES_PER_SECOND = 11e6;
// What is hashed comes out of the page cache first, and is read back for two digests at once, that
// of the run and its own: shares of the speed of a lone digest in memory, docs/bench.md.
const FINGERPRINT_SHARE = 0.75;
const VERIFY_SHARE = 0.6;
// Of the processors' time while a machine quantizes its kernels and their digests take this much; the
// rest goes to reading and writing: docs/bench.md, between 0.73 for six types and 0.84 for one.
const KERNELS_SHARE = 0.78;

/** What is still unknown of a run's stages is null. */
export function stageTimes(request: EstimateRequest, placed: PlacedWork): StageTimes {
  const { hashing, measuring, plan, downloadBytes } = request;
  const outputs = plan.outputs.map(({ layout }) => layout.fileBytes);
  const reading = hashing.bytesPerSecond * FINGERPRINT_SHARE;
  const verifying = hashing.bytesPerSecond * VERIFY_SHARE;
  const longest = downloadBytes * downloadShare(request, placed);
  const download = { stage: 'download', seconds: longest / HUB_BYTES_PER_SECOND } as const;
  return [
    ...(downloadBytes === 0 ? [] : [download]),
    { stage: 'fingerprint', seconds: hashSeconds(hashing, hashing.files, reading) },
    ...(measuring === undefined ? [] : measureTimes(request, measuring, placed)),
    { stage: 'quantize', seconds: quantizeSeconds(request, placed.peers) },
    { stage: 'verify', seconds: hashSeconds(hashing, outputs, verifying) },
  ];
}

/** How much of the download the machine that has the most of it waits for. */
function downloadShare({ plan, isFetchedApart }: EstimateRequest, { peers }: PlacedWork): number {
  const { sourceBytes } = travelling(plan);
  if (isFetchedApart !== true || sourceBytes === 0) return 1;
  return Math.max(...peers.map(({ heldBytes }) => heldBytes)) / sourceBytes;
}

/** Files are hashed side by side, each on one thread. */
function hashSeconds(
  { threads }: EstimateRequest['hashing'],
  files: readonly number[],
  bytesPerSecond: number,
): number {
  const largest = files.reduce((max, bytes) => Math.max(max, bytes), 0);
  return Math.max(largest, sum(files) / threads) / bytesPerSecond;
}

function measureTimes(
  request: EstimateRequest,
  measuring: MeasuringWork,
  placed: PlacedWork,
): StageTimes {
  const { isFetchedApart } = request;
  const remote = isFetchedApart ? [] : placed.peers.filter(({ offer }) => !offer.isLocal);
  const fetchBytes = sum(remote.map(({ stage }) => stageSum(measuring, stage, 'sourceBytes')));
  const measure = {
    stage: 'measure',
    seconds: measureSeconds(measuring, placed),
  } as const;
  if (fetchBytes === 0) return [measure];
  return [{ stage: 'fetch', seconds: fetchBytes / LINK_BYTES_PER_SECOND }, measure];
}

/** The first group through all stages, then what is left through the slowest. */
function measureSeconds(
  measuring: MeasuringWork,
  { peers, stages, unplaced }: PlacedWork,
): number | null {
  const { chunks, multiplicationsPerSecond } = measuring;
  if (multiplicationsPerSecond === undefined || unplaced !== undefined) return null;
  const rateOf = (peer: string): number => {
    const offer = peers.find((each) => each.offer.peer === peer)?.offer;
    return (multiplicationsPerSecond * (offer?.multiplicationsPerSecond ?? 0)) / measuring.speed;
  };
  let seconds = 0;
  let slowest = 0;
  for (const stage of stages) {
    const work = stageWork(measuring, stage);
    const rates = stage.peers.map(rateOf);
    const first = ((work / chunks) * Math.min(GROUP_CHUNKS, chunks)) / Math.max(...rates);
    seconds += first;
    slowest = Math.max(slowest, work / sum(rates) - first);
  }
  return seconds + slowest;
}

/** Multiplications of all chunks in a stage. */
function stageWork(measuring: MeasuringWork, stage: Stage | undefined): number {
  const { chunks, positions } = measuring;
  return chunks * positions * stageSum(measuring, stage, 'multiplications');
}

function stageSum(
  { layers }: MeasuringWork,
  stage: Stage | undefined,
  what: 'sourceBytes' | 'multiplications',
): number {
  if (stage === undefined) return 0;
  return sum(layers.slice(stage.from, stage.to).map((layer) => layer[what]));
}

/**
 * When the machines that compute have done all tasks, each as fast as it can until its disk is
 * full, and the others together not faster than the network; null where they never have.
 */
function quantizeSeconds(request: EstimateRequest, peers: readonly PeerWork[]): number | null {
  const { plan, costs, measuring, isFetchedApart } = request;
  const work = sum(plan.tasks.map((task) => taskSeconds(task, costs)));
  if (work === 0) return 0;
  const { sourceBytes, madeBytes } = travelling(plan);
  // What was sent to be measured with is there already.
  const isSent = measuring === undefined && isFetchedApart !== true;
  const linkBytes = Math.max(isSent ? sourceBytes : 0, madeBytes);
  const remote = peers.flatMap(({ offer }) =>
    offer.isLocal
      ? []
      : [{ rate: rateOf(request, offer), most: (work * offer.diskBytes) / sourceBytes }],
  );
  const local = sum(peers.map(({ offer }) => (offer.isLocal ? rateOf(request, offer) : 0)));
  const doneAfter = (seconds: number): number => {
    const made = sum(remote.map(({ rate, most }) => Math.min(rate * seconds, most)));
    return local * seconds + Math.min(made, (work * LINK_BYTES_PER_SECOND * seconds) / linkBytes);
  };
  if (local === 0 && sum(remote.map(({ most }) => most)) < work) return null;
  let late = 1;
  while (doneAfter(late) < work) late *= 2;
  let early = 0;
  for (let step = 0; step < HALVINGS; step++) {
    const middle = (early + late) / 2;
    if (doneAfter(middle) < work) early = middle;
    else late = middle;
  }
  return late;
}

// Far below a second for any run.
const HALVINGS = 60;

/** How much of the work of the machine that was measured a machine does in a second. */
function rateOf({ costs }: EstimateRequest, { speed }: EstimateOffer): number {
  return (KERNELS_SHARE * speed) / costs.speed;
}

/** Source bytes, and bytes of the block runs that are made of them. */
function travelling({ tasks }: Plan): { sourceBytes: number; madeBytes: number } {
  const travelled = tasks.filter(hasSource);
  return {
    sourceBytes: sum(travelled.map(({ group }) => group.sourceBytes)),
    madeBytes: sum(travelled.map(({ memoryBytes, group }) => memoryBytes - group.sourceBytes)),
  };
}

/** During which a machine computes; never longer than the stages last. */
export function peerSeconds(
  request: EstimateRequest,
  placed: PlacedWork,
  times: StageTimes,
  { offer, tasks, stage }: PeerWork,
): number | null {
  const { plan, costs, measuring } = request;
  if (offer.speed === 0) return 0;
  const own = sum(tasks.map((index) => secondsOf(plan, index, costs))) / rateOf(request, offer);
  const longest = times.find((time) => time.stage === 'quantize')?.seconds ?? own;
  const quantizing = Math.min(own, longest);
  if (measuring === undefined || stage === undefined) return quantizing;
  const { multiplicationsPerSecond } = measuring;
  if (multiplicationsPerSecond === undefined) return null;
  const team = placed.peers.filter((peer) => stage.peers.includes(peer.offer.peer));
  const speed = sum(team.map((peer) => peer.offer.multiplicationsPerSecond)) / measuring.speed;
  return quantizing + stageWork(measuring, stage) / (multiplicationsPerSecond * speed);
}

function secondsOf(plan: Plan, index: number, costs: EstimateRequest['costs']): number {
  const task = plan.tasks[index];
  return task === undefined ? 0 : taskSeconds(task, costs);
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
