/**
 * Plan: every unit of a run, with its id and the place of its result in each output.
 *
 *   Model + outputs (types, layouts) + file digests ──▶ planRun ──▶ Plan ──▶ schedule/schedule.ts
 *
 * A task is a row group in all the types wanted of it: one read, every output made from it. A
 * block run is one unit's result; outputs that want the same type of a tensor share the run.
 */

import { assert } from '../../../proto/assert.ts';
import { type BlockTypeName, blockTypes, rowBytes } from '../gguf/block-types.ts';
import type { GgufLayout } from '../gguf/layout.ts';
import { sliceOf, type TensorImportance, usesImportance } from '../importance/importance.ts';
import type { ModelTensor } from '../models/family.ts';
import { outputId } from './assembly-map.ts';
import { cutRowGroups, type RowGroup, sourceType, tensorRows } from './row-groups.ts';
import { type Field, type Sha256, type UnitId, unitId } from './unit-id.ts';

/** What one output asks of the model's tensors. */
export interface OutputRequest {
  /** File name of the finished output. */
  readonly file: string;
  readonly layout: GgufLayout;
  /** The type of each tensor, by name. */
  readonly types: ReadonlyMap<string, BlockTypeName>;
}

/** Where a block run stands in an output: its index among the output's runs. */
export interface Placement {
  readonly output: number;
  readonly run: number;
}

export interface BlockRun {
  readonly unit: UnitId;
  readonly type: BlockTypeName;
  readonly bytes: number;
  readonly placements: readonly Placement[];
}

/** One weight a column, and the SHA-256 of their little-endian binary32 bytes. */
export interface Weights {
  readonly values: Float32Array;
  readonly digest: Uint8Array;
}

export interface Task {
  readonly tensor: ModelTensor;
  readonly group: RowGroup;
  readonly columns: number;
  /** How much each column counts; only where one of the runs depends on it. */
  readonly importance?: Weights;
  readonly runs: readonly BlockRun[];
  /** Source and result bytes that are in memory while the task runs. */
  readonly memoryBytes: number;
}

/** One run of an output, in ascending order of its place in the file. */
export interface OutputRun {
  readonly unit: UnitId;
  readonly task: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface PlannedOutput {
  readonly file: string;
  readonly layout: GgufLayout;
  readonly runs: readonly OutputRun[];
  /** Digest of the header, of the file's length and of every unit id: equal ids mean equal bytes. */
  readonly id: Uint8Array;
}

export interface Plan {
  /** In the order of PlanRequest. */
  readonly tasks: readonly Task[];
  readonly outputs: readonly PlannedOutput[];
  /** To be read, each byte once. */
  readonly sourceBytes: number;
  /** SHA-256 of each source file, lower-case hex. */
  readonly fileDigests: ReadonlyMap<string, string>;
}

export type TaskOrder = 'outputs' | 'source';

export interface PlanRequest {
  readonly tensors: readonly ModelTensor[];
  readonly outputs: readonly OutputRequest[];
  /** SHA-256 of each source file, lower-case hex. */
  readonly fileDigests: ReadonlyMap<string, string>;
  /** By tensor name; tensors without an entry are made without importance. */
  readonly importance?: ReadonlyMap<string, TensorImportance> | undefined;
  readonly sha256: Sha256;
  /**
   * What the tasks follow. Unless told the outputs: each is then read back from its beginning while
   * it grows, and little of it is left for the end. The source, where its files are being digested
   * from their beginning meanwhile: what is read is then in memory already, or fetched already.
   */
  readonly order?: TaskOrder;
}

export function planRun(request: PlanRequest): Plan {
  const drafts = request.tensors.flatMap((tensor) =>
    cutRowGroups(tensor).map((group) => draftTask(tensor, group, request)),
  );
  const tasks = drafts.sort(request.order === 'source' ? bySource : byPlace(request.outputs));
  return {
    tasks,
    outputs: request.outputs.map((output, index) => placeRuns(output, index, tasks, request)),
    sourceBytes: tasks.reduce((sum, task) => sum + rangeBytes(task.group), 0),
    fileDigests: request.fileDigests,
  };
}

/** What has to be read for a row group: nothing for numbers that are generated. */
function rangeBytes({ ranges }: RowGroup): number {
  return ranges.reduce((sum, { bytes }) => sum + bytes, 0);
}

interface DraftTask extends Task {
  readonly runs: readonly (BlockRun & { readonly placements: Placement[] })[];
}

/** The task with every type that any output wants of its rows; not yet placed in the outputs. */
function draftTask(tensor: ModelTensor, group: RowGroup, request: PlanRequest): DraftTask {
  const { columns, rowsPerSlice } = tensorRows(tensor.shape);
  const inputs = inputFields(tensor, group, request);
  // A row group lies in one slice, so it has one weight a column.
  const slice = sliceOf(
    request.importance?.get(tensor.name),
    Math.floor(group.rowStart / rowsPerSlice),
  );
  // What is copied, or rounded without a choice, does not depend on weights: its id must not either.
  const isWeighted = (type: BlockTypeName): boolean =>
    slice !== undefined && isMadeWithImportance(type, sourceType(tensor));
  const types = new Set<BlockTypeName>();
  for (const output of request.outputs) {
    const type = output.types.get(tensor.name);
    if (type !== undefined) types.add(type);
  }
  const runs = [...types].map((type) => ({
    unit: quantizeUnit(request.sha256, {
      tensor: tensor.name,
      group,
      columns,
      type,
      inputs,
      ...(slice !== undefined && isWeighted(type) ? { importance: slice.digest } : {}),
    }),
    type,
    bytes: group.rows * rowBytes(type, columns),
    placements: [],
  }));
  const memoryBytes = runs.reduce((sum, run) => sum + run.bytes, group.sourceBytes);
  const importance =
    slice !== undefined && [...types].some(isWeighted)
      ? { values: slice.weights, digest: slice.digest }
      : undefined;
  return {
    tensor,
    group,
    columns,
    runs,
    memoryBytes,
    ...(importance === undefined ? {} : { importance }),
  };
}

/** Whether the weights of a tensor's columns change the blocks of `type` made of `source`. */
export function isMadeWithImportance(type: BlockTypeName, source: BlockTypeName): boolean {
  return usesImportance(type) && type !== source;
}

/** What the result depends on besides the parameters: leaves of the source, or the numbers. */
function inputFields(tensor: ModelTensor, group: RowGroup, request: PlanRequest): Field[] {
  if (tensor.source.kind === 'generated') {
    return ['generated', request.sha256(bytesOf(tensor.source.values))];
  }
  const pieces = group.ranges.map((range) => ({
    ...range,
    fileDigest: digestOf(request.fileDigests, range.file),
  }));
  return sourceFields(tensor.source.dtype, pieces);
}

/** The digest of a file that a plan needs. */
export function digestOf(digests: ReadonlyMap<string, string>, file: string): string {
  const digest = digests.get(file);
  assert(digest !== undefined, `no digest of ${file}`);
  return digest;
}

/** The input fields of elements that lie in source files. */
export function sourceFields(
  element: BlockTypeName,
  pieces: readonly { fileDigest: string; offset: number; bytes: number }[],
): Field[] {
  return [
    element,
    ...pieces.flatMap(({ fileDigest, offset, bytes }) => [fileDigest, offset, bytes]),
  ];
}

/** The id of the unit that makes blocks of `type` from a row group. */
export function quantizeUnit(
  sha256: Sha256,
  unit: {
    readonly tensor: string;
    readonly group: Pick<RowGroup, 'rowStart' | 'rows'>;
    readonly columns: number;
    readonly type: BlockTypeName;
    readonly inputs: readonly Field[];
    /** Digest of the weights, where the blocks depend on them. */
    readonly importance?: Uint8Array;
  },
): UnitId {
  return unitId(sha256, 'quantize', [
    unit.tensor,
    unit.group.rowStart,
    unit.group.rows,
    unit.columns,
    blockTypes[unit.type].id,
    ...unit.inputs,
    ...(unit.importance === undefined ? [] : ['importance', unit.importance]),
  ]);
}

/** The elements of a generated tensor as they would lie in a source: little-endian binary32. */
export function bytesOf(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setFloat32(index * 4, value, true);
  });
  return bytes;
}

/** Gives every run that `output` wants its offset, and tells the task where it went. */
function placeRuns(
  output: OutputRequest,
  index: number,
  tasks: readonly DraftTask[],
  { sha256 }: PlanRequest,
): PlannedOutput {
  const starts = new Map(output.layout.tensors.map((tensor) => [tensor.name, tensor.offset]));
  const placed = tasks.flatMap((task, taskIndex) => {
    const type = output.types.get(task.tensor.name);
    const run = task.runs.find((candidate) => candidate.type === type);
    if (type === undefined || run === undefined) return [];
    const start = starts.get(task.tensor.name);
    assert(start !== undefined, `the layout of ${output.file} has no ${task.tensor.name}`);
    const offset = start + task.group.rowStart * rowBytes(type, task.columns);
    return [
      { unit: run.unit, task: taskIndex, offset, bytes: run.bytes, placements: run.placements },
    ];
  });
  placed.sort((a, b) => a.offset - b.offset);
  const runs = placed.map(({ placements, ...run }, position) => {
    placements.push({ output: index, run: position });
    return run;
  });
  const { header, fileBytes } = output.layout;
  const id = outputId(sha256, header, fileBytes, runs);
  return { file: output.file, layout: output.layout, runs, id };
}

type TaskPlace = Pick<Task, 'tensor' | 'group'>;

/** As the first output has them that has the tensor. */
function byPlace(outputs: readonly OutputRequest[]): (a: TaskPlace, b: TaskPlace) => number {
  const names = outputs.flatMap(({ layout }) => layout.tensors.map(({ name }) => name));
  const places = new Map([...new Set(names)].map((name, place) => [name, place]));
  const placeOf = ({ tensor }: TaskPlace): number => places.get(tensor.name) ?? names.length;
  return (a, b) => placeOf(a) - placeOf(b) || a.group.rowStart - b.group.rowStart;
}

/** Generated tensors first, then by file and offset. */
function bySource(a: TaskPlace, b: TaskPlace): number {
  const [first] = a.group.ranges;
  const [second] = b.group.ranges;
  if (first === undefined || second === undefined) {
    return Number(first !== undefined) - Number(second !== undefined);
  }
  if (first.file !== second.file) return first.file < second.file ? -1 : 1;
  return first.offset - second.offset;
}
