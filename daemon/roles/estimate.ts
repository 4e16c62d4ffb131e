/**
 * Estimate: asks machines what they offer and this one how fast it is, for a plan's estimate.
 *
 *   Plan + offers + short measurements ──▶ estimateRun ──▶ the event `estimate`
 *
 * Nothing is made or written, and of the source one matrix at most is read. Read next:
 * core/estimate/estimate-run.ts.
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { CalibrationRequest } from '../../proto/requests.ts';
import { GROUP_CHUNKS } from '../core/calibration/chunks.ts';
import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import { estimateRun } from '../core/estimate/estimate-run.ts';
import { scratchBytesMost } from '../core/estimate/layer-memory.ts';
import type { EstimateOffer, MeasuringWork, QuantizeCosts } from '../core/estimate/request.ts';
import { sumsBytes } from '../core/importance/statistics.ts';
import { forwardOf } from '../core/models/families.ts';
import type { Forward, Weight } from '../core/models/forward.ts';
import { type MeasuredModel, measuredModel } from '../core/models/measured-model.ts';
import { sourceBytesOf, weightSources } from '../core/plan/layer-source.ts';
import type { OutputPlan } from '../core/plan/outputs.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { PlacedWeight, Source } from '../ports.ts';
import type { DescribedSource } from './describe-source.ts';
import { type BusyClock, measureCosts, measureHashing } from './measure-costs.ts';
import { measureProducts } from './measure-products.ts';
import { isWorking, localOffer, offerOf } from './offers.ts';
import type { RunPorts } from './run.ts';
import { stageRegisters } from './stage-runner.ts';
import { leastWaveBytes } from './wave-plan.ts';

export interface EstimatedRun {
  readonly plan: Plan;
  readonly outputs: readonly OutputPlan[];
  readonly described: DescribedSource;
  readonly source: Source;
  /** The directory of the outputs. */
  readonly place: string;
  /** What is fetched of a repository stays. */
  readonly keepsSource: boolean;
  /** Outputs go to the disks of all machines, and stay there. */
  readonly isSpread: boolean;
  /** What is to be measured before, if anything is. */
  readonly calibration:
    | { readonly request: CalibrationRequest; readonly chunks: number }
    | undefined;
}

export async function estimate(run: EstimatedRun, ports: RunPorts): Promise<RunEvent> {
  const { plan, outputs, described, place, source } = run;
  const { kernels } = ports;
  const clock = busyClock(ports, 'kernels');
  const costs = await measureCosts(plan, kernels, clock);
  const measuring = await measuringOf(run, ports);
  const peers = offersOf(ports, costs, measuring);
  const downloadBytes = (await source.remote?.missingBytes(neededFiles(plan))) ?? 0;
  const request = {
    plan,
    names: outputs.map(({ name }) => name),
    peers,
    costs,
    hashing: {
      bytesPerSecond: await measureHashing(kernels, clock),
      threads: kernels.info.threads,
      files: hashedFiles(described.files, plan),
    },
    measuring,
    downloadBytes,
    // As open-proof.ts decides.
    isFetchedApart: downloadBytes > 0 && !run.keepsSource && peers.length > 1,
    isSpread: run.isSpread,
    room: await ports.roomOf(
      place,
      outputs.map(({ file }) => file),
    ),
  };
  return { type: 'estimate', ...estimateRun(request) };
}

/** The kernels of measuring have a team of their own, which counts with the process alone. */
function busyClock({ clock, spentSeconds }: RunPorts, whose: 'kernels' | 'process'): BusyClock {
  return { now: () => clock.now(), cpuSeconds: () => spentSeconds()[whose] };
}

/** The machines that are here now, this one first. */
function offersOf(
  { offer, network }: RunPorts,
  costs: QuantizeCosts,
  measuring: MeasuringWork | undefined,
): EstimateOffer[] {
  const cluster = network();
  const local = localOffer(offer);
  // A daemon of one command has not measured itself: it has nobody to be compared with.
  const isAlone = cluster === undefined && local.speed > 0;
  const speed = isAlone ? costs.speed : local.speed;
  const multiplicationsPerSecond = isAlone
    ? (measuring?.speed ?? 0)
    : offer.multiplicationsPerSecond;
  const others = (cluster?.peers() ?? []).filter(isWorking);
  return [
    { ...local, speed, multiplicationsPerSecond, name: local.peer },
    ...others.map((peer) => ({
      ...offerOf(peer),
      multiplicationsPerSecond: peer.hello.multiplicationsPerSecond,
      name: peer.hello.name,
    })),
  ];
}

/** Those that tensors lie in which are made. */
function neededFiles({ tasks }: Plan): string[] {
  return [...new Set(tasks.flatMap(({ group }) => group.ranges.map(({ file }) => file)))];
}

/** Of the files that a byte is needed of: the others are not hashed. */
function hashedFiles(files: readonly SourceFile[], { fileDigests }: Plan): number[] {
  return files.flatMap(({ file, bytes }) => (fileDigests.has(file) ? [bytes] : []));
}

async function measuringOf(
  { calibration, described, plan, source }: EstimatedRun,
  ports: RunPorts,
): Promise<MeasuringWork | undefined> {
  const { checkpoint, model } = described;
  if (calibration === undefined || checkpoint === undefined) return undefined;
  const { ctx: positions, ppl, processOutput, replicas } = calibration.request;
  const forward = forwardOf(checkpoint);
  const measured = measuredModel(forward, positions, { perplexity: ppl, output: processOutput });
  const tensors = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const sources = (weights: readonly Weight[]): ReturnType<typeof weightSources> =>
    weightSources(weights, tensors, plan.fileDigests);
  const place = (weight: Weight): PlacedWeight => {
    const pieces = sources([weight]).flatMap((found) => found.pieces);
    return {
      weight,
      pieces: pieces.map(({ file, offset, rows }) => {
        return { path: source.path?.(file) ?? file, offset, rows };
      }),
    };
  };
  return {
    layers: measured.layers.map(({ weights, multiplications }) => {
      return { multiplications, sourceBytes: sourceBytesOf(sources(weights)) };
    }),
    mayCut: (boundary) => measured.cuts[boundary] !== undefined,
    stageRam: (from, to, threads) => stageRam(measured, { from, to }, calibration.chunks, threads),
    // Of a repository the weights are not here yet.
    multiplicationsPerSecond:
      source.path === undefined || source.remote !== undefined
        ? undefined
        : await productsPerSecond(forward, place, ports),
    speed: await ports.multiplicationsPerSecond(),
    ...{ replicas, positions, chunks: calibration.chunks },
  };
}

/** The least with which the layers [from, to) can be run: see stage-runner.ts. */
function stageRam(
  model: MeasuredModel,
  { from, to }: { readonly from: number; readonly to: number },
  chunks: number,
  threads: number,
): number {
  const { positions } = model;
  const indexes = Array.from({ length: to - from }, (_, at) => from + at);
  const widths = stageRegisters(model, indexes).reduce((sum, { width }) => sum + width, 0);
  const sums = indexes.map((index) => sumsBytes(model.statistics[index] ?? []));
  const layers = model.layers.slice(from, to);
  return leastWaveBytes({
    chunks: Math.min(GROUP_CHUNKS, chunks),
    stateBytes: positions * widths * Float32Array.BYTES_PER_ELEMENT,
    scratchBytes: (count) =>
      Math.max(
        ...layers.map((layer) => scratchBytesMost(layer, { chunks: count, positions, threads })),
      ),
    sumsBytesLargest: Math.max(0, ...sums),
    sumsBytes: sums.reduce((sum, bytes) => sum + bytes, 0),
  });
}

async function productsPerSecond(
  forward: Forward,
  place: (weight: Weight) => PlacedWeight,
  ports: RunPorts,
): Promise<number | undefined> {
  const kernels = ports.openForward();
  try {
    return await measureProducts(forward, place, kernels, busyClock(ports, 'process'));
  } catch (error) {
    // The weights are still to come from a hub; what else is wrong with them the run tells.
    if (error instanceof FaultError) return undefined;
    throw error;
  } finally {
    kernels.close();
  }
}
