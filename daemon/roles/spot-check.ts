/**
 * Spot check: makes a part of a release's blocks again from the source, and compares them.
 *
 *   Plan + seed ──▶ some runs of some outputs ──▶ Worker ──▶ bytes of the release ──▶ findings
 */

import { FaultError } from '../../proto/fault.ts';
import type { SpotReport } from '../../proto/verify.ts';
import { rowBytes } from '../core/gguf/block-types.ts';
import type { PlacedTensor } from '../core/gguf/layout.ts';
import type { Placement, Plan, Task } from '../core/plan/plan.ts';
import { hex } from '../core/plan/unit-id.ts';
import { ATTESTATIONS_FILE } from '../core/release/attestations.ts';
import { drawDistinct } from '../core/release/draw.ts';
import { releaseFaults } from '../core/release/faults.ts';
import { type Finding, faulty } from '../core/release/findings.ts';
import type { Kernels, Source } from '../ports.ts';
import type { ReleaseFolder } from '../release-ports.ts';
import type { Progress } from './progress.ts';
import type { Attested } from './verify-attestations.ts';
import { type MadeRun, Worker } from './worker.ts';

export interface SpotParts {
  readonly plan: Plan;
  readonly source: Source;
  readonly folder: ReleaseFolder;
  readonly kernels: Kernels;
  /** Tensors of each output whose table is right, by file; the others are left out. */
  readonly tensors: ReadonlyMap<string, readonly PlacedTensor[]>;
  /** What machines have signed for, by unit. */
  readonly attested: Attested;
  readonly progress: Progress;
}

/** A task of which some runs are made again. */
interface Spot {
  readonly task: Task;
  /** By index among the task's runs: the outputs that are looked at. */
  readonly runs: ReadonlyMap<number, readonly Placement[]>;
}

export async function spotCheck(
  { count, seed }: { readonly count: number; readonly seed: number },
  parts: SpotParts,
  signal: AbortSignal,
): Promise<{ readonly report: SpotReport; readonly findings: readonly Finding[] }> {
  const spots = chooseSpots(parts, count, seed);
  const { progress, kernels, source } = parts;
  progress.begin(
    'spot',
    sum(spots, ({ task }) => task.group.sourceBytes),
  );
  const worker = new Worker(kernels);
  const findings: Finding[] = [];
  let bytes = 0;
  let groups = 0;
  const waiting = spots.values();
  const work = async (): Promise<void> => {
    for (const { task, runs } of waiting) {
      await worker.run(task, [...runs.keys()], source, signal, async (made) => {
        for (const run of made) {
          const places = runs.get(run.run) ?? [];
          findings.push(...compareAttested(run, task, parts));
          for (const place of places) findings.push(...(await compare(run, task, place, parts)));
          bytes += run.bytes.length * places.length;
          groups += places.length;
        }
      });
      progress.add(task.group.sourceBytes);
    }
  };
  await Promise.all(Array.from({ length: kernels.info.threads }, work));
  await source.checkUnchanged();
  return { report: { groups, bytes, seed }, findings };
}

/** Row groups of outputs, all of them as likely; a task of several is made once. */
function chooseSpots({ plan, tensors }: SpotParts, count: number, seed: number): Spot[] {
  const all = plan.outputs.flatMap(({ file, runs }, output) =>
    tensors.has(file) ? runs.map(({ task }, run) => ({ output, run, task })) : [],
  );
  const spots = new Map<number, Map<number, Placement[]>>();
  for (const index of drawDistinct(count, all.length, seed)) {
    const { output, run, task } = all[index] ?? { output: 0, run: 0, task: 0 };
    const made = plan.tasks[task]?.runs.findIndex(({ placements }) =>
      placements.some((place) => place.output === output && place.run === run),
    );
    if (made === undefined || made < 0) continue;
    const runs = spots.get(task) ?? new Map<number, Placement[]>();
    runs.set(made, [...(runs.get(made) ?? []), { output, run }]);
    spots.set(task, runs);
  }
  return [...spots].flatMap(([index, runs]) => {
    const task = plan.tasks[index];
    return task === undefined ? [] : [{ task, runs }];
  });
}

/** Whoever signed for the unit has signed for these bytes. */
function compareAttested(
  made: MadeRun,
  { tensor, runs }: Task,
  { attested }: SpotParts,
): Finding[] {
  const signed = attested.get(runs[made.run]?.unit ?? '');
  const digest = hex(made.digest);
  if (signed === undefined || signed.digest === digest) return [];
  const why = `${signed.peer} has signed for ${signed.digest}, not ${digest}`;
  return [
    faulty(releaseFaults.otherAttested, { file: ATTESTATIONS_FILE, tensor: tensor.name, why }),
  ];
}

async function compare(
  made: MadeRun,
  task: Task,
  { output }: Placement,
  { plan, folder, tensors }: SpotParts,
): Promise<Finding[]> {
  const file = plan.outputs[output]?.file ?? '';
  const type = task.runs[made.run]?.type;
  const tensor = tensors.get(file)?.find(({ name }) => name === task.tensor.name);
  if (type === undefined || tensor === undefined) return [];
  const offset = tensor.offset + task.group.rowStart * rowBytes(type, task.columns);
  const found = new Uint8Array(made.bytes.length);
  try {
    await readOnce(folder, file, offset, found);
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    return [faulty(error.kind, error.detail)];
  }
  const first = found.findIndex((byte, index) => byte !== made.bytes[index]);
  if (first < 0) return [];
  const row = task.group.rowStart + Math.floor(first / rowBytes(type, task.columns));
  const why = `${type} of rows ${task.group.rowStart} to ${task.group.rowStart + task.group.rows - 1}`;
  const place = { file, tensor: tensor.name, row, byte: offset + first };
  return [faulty(releaseFaults.otherBlocks, { ...place, why })];
}

async function readOnce(
  folder: ReleaseFolder,
  file: string,
  offset: number,
  into: Uint8Array,
): Promise<void> {
  const opened = await folder.open(file);
  try {
    await opened.read(offset, into);
  } finally {
    await opened.close();
  }
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
