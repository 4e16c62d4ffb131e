/**
 * Request: all that an estimate is computed from.
 *
 *   roles/estimate.ts ──▶ EstimateRequest ──▶ estimate-run.ts
 */

import type { BlockTypeName } from '../gguf/block-types.ts';
import { isMadeWithImportance, type Plan, type Task } from '../plan/plan.ts';
import { sourceType } from '../plan/row-groups.ts';
import type { PeerOffer } from '../schedule/schedule.ts';
import type { LayerCost } from '../schedule/stages.ts';

export interface EstimateOffer extends PeerOffer {
  /** For people. */
  readonly name: string;
  /** As Hello.multiplicationsPerSecond. */
  readonly multiplicationsPerSecond: number;
}

/** One way of making blocks, of numbers of a type. */
export interface Making {
  readonly element: BlockTypeName;
  readonly type: BlockTypeName;
  readonly isWeighted: boolean;
}

/** What quantizing takes on the machine that measured it, all its threads together. */
export interface QuantizeCosts {
  /** Its speed, in the unit of the offers. */
  readonly speed: number;
  /** Seconds an element to read numbers of a type, whatever is made of them. */
  readonly reading: (element: BlockTypeName) => number;
  /** Seconds an element that making a type of them takes beside that. */
  readonly making: (way: Making) => number;
}

export interface MeasuringWork {
  readonly layers: readonly LayerCost[];
  readonly mayCut: (boundary: number) => boolean;
  readonly replicas: number;
  readonly chunks: number;
  /** Tokens a chunk. */
  readonly positions: number;
  /** The least memory with which a machine can run the layers [from, to). */
  readonly stageRam: (from: number, to: number, threads: number) => number;
  /** Of layers, on the machine that measured the costs; undefined where that is not known. */
  readonly multiplicationsPerSecond: number | undefined;
  /** What that machine offers, or would if it computed: as Hello.multiplicationsPerSecond. */
  readonly speed: number;
}

export interface EstimateRequest {
  readonly plan: Plan;
  /** What the user calls each output of the plan; parts of one have one name. */
  readonly names: readonly string[];
  /** The machine that has SOURCE first. */
  readonly peers: readonly EstimateOffer[];
  readonly costs: QuantizeCosts;
  /** What a thread hashes in a second, and of how many threads; files that are hashed before. */
  readonly hashing: {
    readonly bytesPerSecond: number;
    readonly threads: number;
    readonly files: readonly number[];
  };
  readonly measuring: MeasuringWork | undefined;
  /** Of the source, from a hub. */
  readonly downloadBytes: number;
  /** Each machine has its own part from the hub, and keeps it: nothing of it is sent on. */
  readonly isFetchedApart?: boolean;
  /** Outputs go to the disks of all machines, and stay there. */
  readonly isSpread?: boolean;
  /** Where the outputs go; undefined where that is not known. */
  readonly room: { readonly freeBytes: number; readonly allocatedBytes: number } | undefined;
}

/** Whether a peer takes part at all. */
export const isComputing = ({ speed }: PeerOffer): boolean => speed > 0;

/** Whether a task has source bytes: others are made where SOURCE is, and cost nothing to speak of. */
export const hasSource = ({ group }: Task): boolean => group.ranges.length > 0;

/** Of all outputs, headers included. */
export function outputBytes({ plan }: Pick<EstimateRequest, 'plan'>): number {
  return plan.outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0);
}

/** How each of a task's block runs is made. */
export function makingsOf({ tensor, runs, importance }: Task): Making[] {
  const element = sourceType(tensor);
  return runs.map(({ type }) => {
    const isWeighted = importance !== undefined && isMadeWithImportance(type, element);
    return { element, type, isWeighted };
  });
}

/** Seconds that a task takes on the machine of the costs. */
export function taskSeconds(task: Task, costs: QuantizeCosts): number {
  if (!hasSource(task)) return 0;
  const element = sourceType(task.tensor);
  const elements = task.group.rows * task.columns;
  const making = makingsOf(task).map(costs.making);
  return elements * making.reduce((sum, seconds) => sum + seconds, costs.reading(element));
}

/** The same run without the outputs of these names. */
export function withoutOutputs(
  request: EstimateRequest,
  names: ReadonlySet<string>,
): EstimateRequest {
  const kept = request.names.flatMap((name, output) => (names.has(name) ? [] : [output]));
  const places = new Map(kept.map((output, at) => [output, at]));
  const tasks = request.plan.tasks.map((task) => {
    const runs = task.runs.flatMap((run) => {
      const placements = run.placements.flatMap((place) => {
        const output = places.get(place.output);
        return output === undefined ? [] : [{ ...place, output }];
      });
      return placements.length === 0 ? [] : [{ ...run, placements }];
    });
    const memoryBytes = runs.reduce((sum, { bytes }) => sum + bytes, task.group.sourceBytes);
    return { ...task, runs, memoryBytes };
  });
  const outputs = kept.flatMap((output) => request.plan.outputs[output] ?? []);
  return {
    ...request,
    plan: { ...request.plan, tasks, outputs },
    names: kept.flatMap((output) => request.names[output] ?? []),
  };
}
