/**
 * Fit: what of a run does not fit into what machines offer, and what would make it fit.
 *
 *   EstimateRequest + PlacedWork ──▶ faultsOf ──▶ faults, each with remedies that were tried
 *
 * A remedy is only told when the work, placed again with it, leaves no fault of the same kind.
 */

import type { Remedy } from '../../../proto/estimate.ts';
import type { FaultKind } from '../../../proto/fault.ts';
import { estimateFaults } from './faults.ts';
import { LEASES_BEYOND_THREADS, type PeerWork, type PlacedWork, placeWork } from './place-work.ts';
import {
  type EstimateOffer,
  type EstimateRequest,
  isComputing,
  outputBytes,
  withoutOutputs,
} from './request.ts';
import { sizeText } from './size-text.ts';
import { spreadOutputs } from './spread-outputs.ts';

/** A remedy, with the machine's id in place of its name. */
export type FitRemedy =
  | Exclude<Remedy, { readonly name: string }>
  | { readonly kind: 'ram' | 'disk'; readonly peer: string; readonly bytes: number };

export interface FitFault {
  readonly kind: FaultKind;
  readonly why: string;
  /** The machine whose memory is too small. */
  readonly peer?: string;
  readonly remedies: readonly FitRemedy[];
}

// Room that stays free beside what is written, for journals and the system: a run that would take it
// is refused. adapters/hub-store.ts keeps as much.
export const RESERVE_BYTES: number = 64 * 1024 * 1024;

type Found = Omit<FitFault, 'remedies'> & { readonly candidates: () => readonly FitRemedy[][] };

export function faultsOf(request: EstimateRequest, placed: PlacedWork): FitFault[] {
  return findFaults(request, placed).map(({ candidates, ...fault }) => {
    const isOver = (remedy: FitRemedy): boolean => {
      const after = withRemedy(request, remedy);
      return !findFaults(after, placeWork(after)).some(
        ({ kind, peer }) => kind === fault.kind && peer === fault.peer,
      );
    };
    // Of several sizes of one remedy the first that is enough.
    const remedies = candidates().flatMap((sizes) => sizes.find(isOver) ?? []);
    return { ...fault, remedies };
  });
}

function findFaults(request: EstimateRequest, placed: PlacedWork): Found[] {
  return [
    ...(request.isSpread === true ? spreadFault(request, placed) : outputsFault(request)),
    ...sourceFault(request, placed),
    ...placed.peers.flatMap((peer) => memoryFault(request, peer)),
  ];
}

function outputsFault(request: EstimateRequest): Found[] {
  const { room } = request;
  if (room === undefined) return [];
  const needed = Math.max(0, outputBytes(request) - room.allocatedBytes);
  const missing = needed + RESERVE_BYTES - room.freeBytes;
  if (needed === 0 || missing <= 0) return [];
  const why = `${sizeText(needed)} are to be written, ${sizeText(room.freeBytes)} are free`;
  const candidates = (): FitRemedy[][] => [
    [{ kind: 'room', bytes: roundUp(missing) }],
    fewerTypes(request),
  ];
  return [{ kind: estimateFaults.outputs, why, candidates }];
}

function spreadFault(request: EstimateRequest, placed: PlacedWork): Found[] {
  const { homelessBytes } = spreadOutputs(request, placed, RESERVE_BYTES);
  if (request.room === undefined || homelessBytes === 0) return [];
  const why = `${sizeText(homelessBytes)} of them have room on no machine`;
  // As much as is missing; where less is free than has to stay so, that too; all of it.
  const sizes = [
    homelessBytes,
    homelessBytes + RESERVE_BYTES,
    outputBytes(request) + RESERVE_BYTES,
  ];
  const candidates = (): FitRemedy[][] => [
    sizes.map((bytes) => ({ kind: 'room', bytes: roundUp(bytes) })),
    fewerTypes(request),
  ];
  return [{ kind: estimateFaults.outputs, why, candidates }];
}

/** The largest output left out, the two largest, and so on. */
function fewerTypes({ plan, names }: EstimateRequest): FitRemedy[] {
  const bytes = new Map<string, number>();
  names.forEach((name, output) => {
    const own = plan.outputs[output]?.layout.fileBytes ?? 0;
    bytes.set(name, (bytes.get(name) ?? 0) + own);
  });
  const largest = [...bytes].sort(([, a], [, b]) => b - a).map(([name]) => name);
  return largest.slice(1).map((_, index) => {
    return { kind: 'fewer-types', names: largest.slice(0, index + 1) };
  });
}

function sourceFault(request: EstimateRequest, placed: PlacedWork): Found[] {
  const { homelessBytes, unplaced } = placed;
  const peers = placed.peers.filter(({ offer }) => isComputing(offer));
  const missing = Math.max(homelessBytes, unplaced?.sourceBytes ?? 0);
  if (missing === 0) return [];
  const newMachine = machineFor(request, missing);
  const here: FitRemedy[] = [{ kind: 'compute-here' }];
  if (peers.length === 0) {
    const why = 'the one with SOURCE leaves the work to others, and none is here that could do it';
    return [{ kind: estimateFaults.nobody, why, candidates: () => [newMachine, here] }];
  }
  const why =
    unplaced === undefined
      ? `there is room for all but ${sizeText(missing)}`
      : `there is none for layers ${unplaced.from} to ${unplaced.to - 1}, ${sizeText(unplaced.sourceBytes)}`;
  const candidates = (): FitRemedy[][] => [
    ...peers.map(({ offer }) => moreDisk(request, offer, missing)),
    ...placed.weak.map(({ offer, neededBytes }) => [moreMemory(offer, neededBytes)]),
    newMachine,
    here,
  ];
  return [{ kind: estimateFaults.source, why, candidates }];
}

/** As much as is missing; what lets no row group or layer fall between two machines; all of it. */
function sizesFor(request: EstimateRequest, missing: number): number[] {
  const { plan, measuring, peers } = request;
  const largest = Math.max(
    ...plan.tasks.map(({ group }) => group.sourceBytes),
    ...(measuring?.layers ?? []).map(({ sourceBytes }) => sourceBytes),
  );
  const layers = (measuring?.layers ?? []).reduce((sum, { sourceBytes }) => sum + sourceBytes, 0);
  const source = plan.tasks.reduce((sum, { group }) => sum + group.sourceBytes, 0);
  const all = layers + source + peers.length * largest;
  return [missing, missing + largest, missing + (peers.length + 1) * largest, all]
    .filter((bytes) => bytes <= all)
    .map(roundUp);
}

function moreDisk(request: EstimateRequest, { peer }: EstimateOffer, missing: number): FitRemedy[] {
  return sizesFor(request, missing).map((bytes) => ({ kind: 'disk', peer, bytes }));
}

function machineFor(request: EstimateRequest, missing: number): FitRemedy[] {
  const { plan, measuring } = request;
  const largest = Math.max(0, ...plan.tasks.map(({ memoryBytes }) => memoryBytes));
  // It may be given any layers: with memory for all of them it has enough for any.
  const layers = measuring?.layers.length ?? 0;
  const stageRam = measuring?.stageRam(0, layers, ADDED_THREADS) ?? 0;
  const ramBytes = roundUp(Math.max(largest, stageRam));
  return sizesFor(request, missing).map((diskBytes) => ({ kind: 'machine', diskBytes, ramBytes }));
}

function memoryFault(request: EstimateRequest, { offer, ramBytes, stage }: PeerWork): Found[] {
  const { name, isLocal, peer, memoryBytes } = offer;
  if (ramBytes <= memoryBytes) return [];
  const part = stage === undefined ? '' : ` (layers ${stage.from} to ${stage.to - 1})`;
  const why = `${isLocal ? 'this machine' : name} offers ${sizeText(memoryBytes)}, its part${part} needs ${sizeText(ramBytes)}`;
  const candidates = (): FitRemedy[][] => [[moreMemory(offer, ramBytes)], fewerTypes(request)];
  return [{ kind: estimateFaults.memory, peer, why, candidates }];
}

function moreMemory({ peer }: EstimateOffer, bytes: number): FitRemedy {
  return { kind: 'ram', peer, bytes: roundUp(bytes) };
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
// Below it a whole GiB more would be much of what is asked for.
const EXACT_GIB_MAX = 4;

/** Up to a size that a person can type: whole MiB below 4 GiB, whole GiB above. */
function roundUp(bytes: number): number {
  const unit = bytes < EXACT_GIB_MAX * GIB ? MIB : GIB;
  return Math.ceil(bytes / unit) * unit;
}

// Of a machine that is added, or begins to compute: what the smallest boxes have.
const ADDED_THREADS = 4;

/** The same run after a remedy has been followed. */
export function withRemedy(request: EstimateRequest, remedy: FitRemedy): EstimateRequest {
  const { peers, costs, measuring, room } = request;
  const changed = (peer: string, change: (offer: EstimateOffer) => EstimateOffer) => ({
    ...request,
    peers: peers.map((offer) => (offer.peer === peer ? change(offer) : offer)),
  });
  switch (remedy.kind) {
    case 'ram':
      return changed(remedy.peer, (offer) => ({ ...offer, memoryBytes: remedy.bytes }));
    case 'disk':
      return changed(remedy.peer, (offer) => {
        return { ...offer, diskBytes: offer.diskBytes + remedy.bytes };
      });
    case 'room': {
      const { freeBytes = 0, allocatedBytes = 0 } = room ?? {};
      return { ...request, room: { freeBytes: freeBytes + remedy.bytes, allocatedBytes } };
    }
    case 'fewer-types':
      return withoutOutputs(request, new Set(remedy.names));
    case 'machine': {
      const { diskBytes, ramBytes: memoryBytes } = remedy;
      const speed = Math.max(costs.speed, ...peers.map((offer) => offer.speed));
      const told = peers.map((offer) => offer.multiplicationsPerSecond);
      const multiplicationsPerSecond = Math.max(measuring?.speed ?? 0, ...told);
      const added = {
        peer: 'another',
        name: 'another',
        leasesMax: ADDED_THREADS + LEASES_BEYOND_THREADS,
      };
      return {
        ...request,
        peers: [
          ...peers,
          { ...added, memoryBytes, diskBytes, speed, multiplicationsPerSecond, isLocal: false },
        ],
      };
    }
    case 'compute-here': {
      const here = peers.find(({ isLocal }) => isLocal);
      if (here === undefined || isComputing(here)) return request;
      const multiplicationsPerSecond = measuring?.speed ?? 0;
      return changed(here.peer, (offer) => {
        return { ...offer, speed: costs.speed, multiplicationsPerSecond };
      });
    }
  }
}
