/**
 * Leased task: a task as it crosses the wire, and back.
 *
 *   Task + leaf digests ──▶ leaseOf ──▶ Lease ──▶ readLease ──▶ Task   (on another machine)
 *
 * What arrives is only a claim. The receiver computes the unit ids from the parameters itself, so
 * that no bytes can be made under the id of others, and checks every length that it will allocate.
 */

import type {
  Lease,
  LeasedRun,
  PeerId,
  RunId,
  SourceOrigin,
} from '../../../proto/peer-messages.ts';
import { type BlockTypeName, blockTypes, rowBytes } from '../gguf/block-types.ts';
import type { ModelTensor } from '../models/family.ts';
import {
  digestOf,
  isMadeWithImportance,
  type Plan,
  quantizeUnit,
  sourceFields,
  type Task,
} from './plan.ts';
import { type RowGroup, sourceType, tensorRows } from './row-groups.ts';
import type { Sha256, UnitId } from './unit-id.ts';

/** Everything of a lease that does not follow from the plan. */
export interface LeaseTerms {
  readonly run: RunId;
  readonly sources: readonly PeerId[];
  /** Who may take what is made, beside the coordinator. */
  readonly assemblers: readonly PeerId[];
  /** For each range of the task's row group the digests of its leaves. */
  readonly leaves: readonly (readonly Uint8Array[])[];
  /** Where the ranges are to be fetched: then nobody knows their leaves. */
  readonly origin?: SourceOrigin | undefined;
}

/** The lease that asks for the runs `wanted` (by index in the task) of a task of `plan`. */
export function leaseOf(
  plan: Plan,
  index: number,
  wanted: readonly number[],
  { run, sources, assemblers, leaves, origin }: LeaseTerms,
): Lease {
  const task = plan.tasks[index];
  if (task === undefined) throw new Error(`the plan has no task ${index}`);
  const { tensor, group, runs, importance } = task;
  const leased = wanted.flatMap((at) => {
    const blocks = runs[at];
    return blocks === undefined
      ? []
      : [{ unit: blocks.unit as string, type: blocks.type, bytes: blocks.bytes }];
  });
  const isWeighted = leased.some(({ type }) => isMadeWithImportance(type, sourceType(tensor)));
  return {
    kind: 'lease',
    run,
    task: index,
    tensor: tensor.name,
    element: sourceType(tensor),
    shape: tensor.shape,
    rowStart: group.rowStart,
    rows: group.rows,
    pieces: group.ranges.map(({ file, offset, bytes }, at) => ({
      file,
      fileDigest: digestOf(plan.fileDigests, file),
      offset,
      bytes,
      leaves: leaves[at] ?? [],
    })),
    sources,
    runs: leased,
    assemblers,
    ...(origin === undefined ? {} : { origin }),
    ...(importance === undefined || !isWeighted ? {} : { importance: importance.digest }),
  };
}

// A row group has at most 8 MiB of source unless one row is longer; the widest rows known have
// some 2^18 elements, and a coordinator that asks for more than this is not believed.
const SOURCE_BYTES_MAX = 64 * 1024 * 1024;
const RESULT_BYTES_MAX = 256 * 1024 * 1024;

/** Why a lease cannot be meant seriously; its sender is broken or hostile. */
export class BadLease extends Error {
  override readonly name = 'BadLease';
}

/**
 * The task that a lease asks for; its importance has no values yet.
 * @throws BadLease where lengths, types or unit ids do not agree with one another
 */
export function readLease(lease: Lease, sha256: Sha256): Task {
  const element = blockTypeOf(lease.element);
  const { columns, rowsPerSlice, slices } = tensorRows(lease.shape);
  demand(lease.rows >= 1, 'no rows');
  const slice = Math.floor(lease.rowStart / rowsPerSlice);
  const last = lease.rowStart + lease.rows - 1;
  demand(slice < slices && Math.floor(last / rowsPerSlice) === slice, 'rows beyond their slice');
  demand(columns % blockTypes[element].blockElements === 0, 'rows that are no whole blocks');
  const sourceBytes = lease.rows * rowBytes(element, columns);
  demand(sourceBytes <= SOURCE_BYTES_MAX, 'too many source bytes');
  const found = lease.pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  demand(found === sourceBytes, 'pieces of another length than the rows');
  const group: RowGroup = {
    rowStart: lease.rowStart,
    rows: lease.rows,
    ranges: lease.pieces.map(({ file, offset, bytes }) => ({ file, offset, bytes })),
    sourceBytes,
  };
  const tensor: ModelTensor = {
    name: lease.tensor,
    shape: lease.shape,
    keepF32: false,
    source: { kind: 'gguf', dtype: element, parts: [], shard: 0 },
  };
  const inputs = sourceFields(element, lease.pieces);
  const runs = lease.runs.map((run) => {
    const type = blockTypeOf(run.type);
    const isWeighted = lease.importance !== undefined && isMadeWithImportance(type, element);
    const unit = quantizeUnit(sha256, {
      tensor: lease.tensor,
      group,
      columns,
      type,
      inputs,
      ...(isWeighted ? { importance: lease.importance } : {}),
    });
    checkRun(run, unit, lease.rows * rowBytes(type, columns), columns, type);
    return { unit, type, bytes: run.bytes, placements: [] };
  });
  demand(runs.length > 0, 'no block runs');
  const resultBytes = runs.reduce((sum, { bytes }) => sum + bytes, 0);
  demand(resultBytes <= RESULT_BYTES_MAX, 'too many result bytes');
  const importance =
    lease.importance === undefined
      ? {}
      : { importance: { digest: lease.importance, values: new Float32Array(0) } };
  return { tensor, group, columns, runs, memoryBytes: sourceBytes + resultBytes, ...importance };
}

function checkRun(
  run: LeasedRun,
  unit: UnitId,
  bytes: number,
  columns: number,
  type: BlockTypeName,
): void {
  demand(columns % blockTypes[type].blockElements === 0, 'rows that are no whole blocks');
  demand(run.bytes === bytes, 'a block run of another length than its rows');
  demand(run.unit === unit, 'a unit id that is not that of its parameters');
}

function blockTypeOf(name: string): BlockTypeName {
  demand(Object.hasOwn(blockTypes, name), 'an unknown block type');
  return name as BlockTypeName;
}

function demand(condition: boolean, why: string): asserts condition {
  if (!condition) throw new BadLease(why);
}
