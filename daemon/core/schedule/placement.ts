/**
 * Placement: which peer gets which tasks, so that source bytes travel once and all end together.
 *
 *   tasks + peers (speed, room) ──▶ placeTasks ──▶ the peer of each task  (read next: schedule.ts)
 *
 * A layer stays whole, because a peer that holds a layer can later run it; layers that follow one
 * another go to one peer. What belongs to no layer (embeddings, norms, the output matrix) is
 * spread by row groups and evens out what whole layers left uneven.
 */

import type { Task } from '../plan/plan.ts';

export interface PlacedPeer {
  readonly peer: string;
  /** Work per time; any unit. 0 gets nothing. */
  readonly speed: number;
  /** Source bytes that it may be given now. */
  readonly roomBytes: number;
}

// What a machine in use measures of itself is no better than this: two peers whose speeds differ
// by less are given equal shares, so that equal machines hold equal parts of the model.
const SPEED_NOISE = 1.5;

/** The layer that a tensor of a GGUF belongs to; undefined for those of the model as a whole. */
export function layerOf(tensor: string): number | undefined {
  const number = /^blk\.(\d{1,6})\./.exec(tensor)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** Speeds above 0, of which those that are as good as the highest are made equal to it. */
export function levelSpeeds(speeds: readonly number[]): number[] {
  const fastest = Math.max(...speeds);
  return speeds.map((speed) => (fastest / speed < SPEED_NOISE ? fastest : speed));
}

interface Share {
  readonly peer: string;
  readonly targetBytes: number;
  readonly roomBytes: number;
  bytes: number;
}

/**
 * The peer of each of the tasks `waiting` (indexes into `tasks`), in the order of their place in
 * the source. Tasks for which no peer has room are absent.
 */
export function placeTasks(
  tasks: readonly Task[],
  waiting: readonly number[],
  peers: readonly PlacedPeer[],
): Map<number, string> {
  const bytesOf = (task: number): number => tasks[task]?.group.sourceBytes ?? 0;
  const sum = (group: readonly number[]): number =>
    group.reduce((total, task) => total + bytesOf(task), 0);
  const shares = sharesOf(peers, sum(waiting));
  const placed = new Map<number, string>();
  const place = (task: number, share: Share): void => {
    placed.set(task, share.peer);
    share.bytes += bytesOf(task);
  };
  const { layers, others } = groupByLayer(tasks, waiting);
  const left: number[] = [...others];
  const layerBytes = layers.reduce((total, layer) => total + sum(layer), 0);
  let start = 0;
  for (const layer of layers) {
    const bytes = sum(layer);
    const share = shareAt(shares, (start + bytes / 2) / layerBytes, bytes);
    start += bytes;
    // Where a layer fits nowhere as a whole, its row groups may still fit.
    if (share === undefined) left.push(...layer);
    else for (const task of layer) place(task, share);
  }
  for (const task of left) {
    const share = emptiest(shares, bytesOf(task));
    if (share !== undefined) place(task, share);
  }
  return placed;
}

function sharesOf(peers: readonly PlacedPeer[], totalBytes: number): Share[] {
  const working = peers.filter(({ speed }) => speed > 0);
  const weights = levelSpeeds(working.map(({ speed }) => speed));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return working.map(({ peer, roomBytes }, index) => ({
    peer,
    roomBytes,
    targetBytes: Math.min(roomBytes, (totalBytes * (weights[index] ?? 0)) / total),
    bytes: 0,
  }));
}

/** Layers in ascending order, each with its tasks; then the tasks of no layer. */
function groupByLayer(
  tasks: readonly Task[],
  waiting: readonly number[],
): { layers: number[][]; others: number[] } {
  const byLayer = new Map<number, number[]>();
  const others: number[] = [];
  for (const task of waiting) {
    const layer = layerOf(tasks[task]?.tensor.name ?? '');
    if (layer === undefined) {
      others.push(task);
      continue;
    }
    const group = byLayer.get(layer) ?? [];
    group.push(task);
    byLayer.set(layer, group);
  }
  const layers = [...byLayer].sort(([a], [b]) => a - b).map(([, group]) => group);
  return { layers, others };
}

/**
 * The share of a layer whose middle lies `middle` of the way (0 to 1) through all layers: that in
 * whose part it falls, so that no share is more than a layer above its target. Where that has no
 * room, the nearest after it, else before it.
 */
function shareAt(shares: readonly Share[], middle: number, bytes: number): Share | undefined {
  const total = shares.reduce((sum, { targetBytes }) => sum + targetBytes, 0);
  let end = 0;
  const at = shares.findIndex(({ targetBytes }) => {
    end += targetBytes;
    return middle * total < end;
  });
  const fits = (share: Share): boolean => share.bytes + bytes <= share.roomBytes;
  return shares.slice(Math.max(0, at)).find(fits) ?? shares.findLast(fits);
}

/** The share that is furthest below its target, of those with room for so many bytes. */
function emptiest(shares: readonly Share[], bytes: number): Share | undefined {
  let best: Share | undefined;
  for (const share of shares) {
    if (share.bytes + bytes > share.roomBytes) continue;
    const lack = share.targetBytes - share.bytes;
    if (best === undefined || lack > best.targetBytes - best.bytes) best = share;
  }
  return best;
}
