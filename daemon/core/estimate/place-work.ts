/**
 * Place work: which machine would do what, as the schedules of a run would have it.
 *
 *   EstimateRequest ──▶ placeWork ──▶ tasks and layers of each machine, and what nobody has room for
 *
 * The deciding is that of core/schedule/: nothing is decided here a second time. Machines that could
 * not do the least piece of the work are left out before.
 */

import type { Task } from '../plan/plan.ts';
import { layerOf } from '../schedule/placement.ts';
import { type PeerId, Schedule } from '../schedule/schedule.ts';
import { placeStages, type Stage, type UnplacedLayers } from '../schedule/stages.ts';
import { type EstimateOffer, type EstimateRequest, hasSource, isComputing } from './request.ts';

export interface PeerWork {
  readonly offer: EstimateOffer;
  /** Indexes into the plan. */
  readonly tasks: readonly number[];
  readonly stage: Stage | undefined;
  /** Source bytes that it keeps; none where SOURCE is. */
  readonly heldBytes: number;
  /** The least memory with which it can do all of that. */
  readonly ramBytes: number;
}

export interface WeakPeer {
  readonly offer: EstimateOffer;
  /** What it has too little memory for, and the least of that. */
  readonly for: 'task' | 'layer';
  readonly neededBytes: number;
}

export interface PlacedWork {
  /** Every machine that has a part, in the order of the request. */
  readonly peers: readonly PeerWork[];
  readonly stages: readonly Stage[];
  readonly weak: readonly WeakPeer[];
  /** Source bytes of tasks that no machine has room for. */
  readonly homelessBytes: number;
  readonly unplaced: UnplacedLayers | undefined;
}

export function placeWork(request: EstimateRequest): PlacedWork {
  // The one with SOURCE makes what has none, and keeps the outputs, whether or not it computes.
  const computing = request.peers.filter((offer) => offer.isLocal || isComputing(offer));
  const weak: WeakPeer[] = [];
  // Where SOURCE is, too little memory ends a run: that is told, and nothing placed around it.
  const strong = (from: readonly EstimateOffer[], part: WeakPeer['for']): EstimateOffer[] =>
    from.filter((offer) => {
      const neededBytes = leastBytes(request, offer, part);
      const isStrong = offer.isLocal || neededBytes <= offer.memoryBytes;
      if (!isStrong) weak.push({ offer, for: part, neededBytes });
      return isStrong;
    });
  const workers = strong(computing, 'task');
  const { stages, unplaced } = stagesOf(request, workers, strong);
  const shares = sharesOf(request, workers, stages);
  const isPlaced = new Set([...shares.values()].flat());
  const homelessBytes = request.plan.tasks.reduce((sum, task, index) => {
    return hasSource(task) && !isPlaced.has(index) ? sum + task.group.sourceBytes : sum;
  }, 0);
  const peers = workers.map((offer) => {
    const stage = stages.find((one) => one.peers.includes(offer.peer));
    return workOf(request, offer, shares.get(offer.peer) ?? [], stage);
  });
  return { peers, stages, weak, homelessBytes, unplaced };
}

/** Memory for the smallest task that has a source, or for the layer that needs the least. */
function leastBytes(
  { plan, measuring }: EstimateRequest,
  offer: EstimateOffer,
  part: WeakPeer['for'],
): number {
  if (part === 'task') {
    const tasks = plan.tasks.filter(hasSource);
    return tasks.reduce((least, { memoryBytes }) => Math.min(least, memoryBytes), Infinity);
  }
  if (measuring === undefined) return 0;
  return measuring.layers.reduce(
    (least, _, n) => Math.min(least, measuring.stageRam(n, n + 1, threadsOf(offer))),
    Infinity,
  );
}

// As many leases as kernels side by side, and two more: see roles/offers.ts.
export const LEASES_BEYOND_THREADS = 2;

function threadsOf({ leasesMax }: EstimateOffer): number {
  return Math.max(1, leasesMax - LEASES_BEYOND_THREADS);
}

function stagesOf(
  { measuring }: EstimateRequest,
  workers: readonly EstimateOffer[],
  strong: (from: readonly EstimateOffer[], part: WeakPeer['for']) => EstimateOffer[],
): { stages: readonly Stage[]; unplaced: UnplacedLayers | undefined } {
  if (measuring === undefined) return { stages: [], unplaced: undefined };
  const { layers, mayCut, replicas } = measuring;
  const peers = strong(workers, 'layer').map(({ peer, diskBytes, isLocal, ...offer }) => ({
    ...{ peer, speed: offer.multiplicationsPerSecond, isLocal, holds: () => false },
    roomBytes: isLocal ? Number.MAX_SAFE_INTEGER : diskBytes,
  }));
  const { stages, unplaced } = placeStages({ layers, mayCut, peers, replicas });
  return { stages, unplaced };
}

/** The tasks of each machine, where those that have measured a layer have its source already. */
function sharesOf(
  { plan, isFetchedApart }: EstimateRequest,
  workers: readonly EstimateOffer[],
  stages: readonly Stage[],
): ReadonlyMap<PeerId, readonly number[]> {
  const schedule = new Schedule(plan);
  for (const { peer, isLocal } of workers) {
    const stage = stages.find(({ peers }) => peers.includes(peer));
    if (stage === undefined || (isLocal && isFetchedApart !== true)) continue;
    schedule.step({ kind: 'layers-held', peer, layers: [...layersOf(stage)] }, 0);
  }
  schedule.step({ kind: 'peers-joined', peers: workers }, 0);
  return schedule.shares();
}

function layersOf({ from, to }: Stage): Set<number> {
  return new Set(Array.from({ length: to - from }, (_, at) => from + at));
}

function workOf(
  request: EstimateRequest,
  offer: EstimateOffer,
  tasks: readonly number[],
  stage: Stage | undefined,
): PeerWork {
  const { plan, measuring } = request;
  const own = tasks.flatMap((index) => plan.tasks[index] ?? []);
  const largest = own.reduce((max, { memoryBytes }) => Math.max(max, memoryBytes), 0);
  const stageRam =
    stage === undefined ? 0 : (measuring?.stageRam(stage.from, stage.to, threadsOf(offer)) ?? 0);
  return {
    ...{ offer, tasks, stage },
    heldBytes: heldBytes(request, offer, new Set(tasks), stage),
    ramBytes: Math.max(largest, stageRam),
  };
}

/**
 * Source bytes of its tasks, and of the layers that it runs. Where layers are measured with what each
 * machine has fetched, what belongs to none of them is kept by the one that asks, for all.
 */
function heldBytes(
  { plan: { tasks }, measuring, isFetchedApart }: EstimateRequest,
  { isLocal }: EstimateOffer,
  own: ReadonlySet<number>,
  stage: Stage | undefined,
): number {
  if (isLocal && isFetchedApart !== true) return 0;
  const layers = stage === undefined ? new Set<number>() : layersOf(stage);
  const isKeptForAll = isFetchedApart === true && measuring !== undefined;
  const isKept = ({ tensor }: Task, index: number): boolean => {
    const layer = layerOf(tensor.name);
    if (layer === undefined && isKeptForAll) return isLocal;
    return own.has(index) && (layer === undefined || !layers.has(layer));
  };
  let bytes = 0;
  for (const [index, task] of tasks.entries()) {
    if (hasSource(task) && isKept(task, index)) bytes += task.group.sourceBytes;
  }
  for (const layer of layers) bytes += measuring?.layers[layer]?.sourceBytes ?? 0;
  return bytes;
}
