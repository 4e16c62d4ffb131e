/**
 * Tensor table: matches what a family expects of a checkpoint against what it holds.
 *
 *   table + config ──▶ expectTensors ──▶ Expected[]
 *   Expected[] + source tensors ──▶ matchTensors ──▶ ModelTensor[] + the ones left over
 *
 * A family writes its table as rows of data (gemma4.ts); nothing here knows a family. Both ways
 * are strict: a tensor that is missing, of another shape, or not understood ends the run, since
 * a GGUF with a silently dropped weight loads and answers nonsense.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Checkpoint, SourceTensor, UnusableTensor } from '../checkpoint/checkpoint.ts';
import { checkpointFaults } from '../checkpoint/faults.ts';
import { isUsable } from '../checkpoint/safetensors.ts';
import type { ModelTensor } from './family.ts';
import { modelFaults } from './faults.ts';
import { quoted } from './quoted.ts';

/** Shapes are as the checkpoint writes them: slowest dimension first. */
export type SourceShape = readonly number[];

/** One row of a family's table. In names, `{N}` is the layer and `{E}` the expert. */
export interface TensorRow<Config> {
  /** Name in the checkpoint, without the family's prefixes. */
  readonly source: string;
  readonly name: string;
  /** Undefined where this model, or this layer of it, has no such tensor. */
  readonly shape: (config: Config, layer: number) => SourceShape | undefined;
  readonly keepF32: boolean;
  /** Whether a checkpoint may leave it out. */
  readonly optional?: (config: Config, layer: number) => boolean;
  /**
   * Names of the same tensor stored expert by expert, in the order their rows are stacked inside
   * one expert; they share the second dimension evenly.
   */
  readonly perExpert?: readonly string[];
}

export interface Expected {
  readonly source: string;
  readonly name: string;
  readonly shape: SourceShape;
  readonly keepF32: boolean;
  readonly optional: boolean;
  readonly perExpert: readonly string[];
}

/** Unused tensors that an output does not need, and why. */
export interface LeaveOut {
  readonly pattern: RegExp;
  readonly reason: string;
}

export interface Matched {
  /** In the order of the checkpoint. */
  readonly tensors: readonly ModelTensor[];
  readonly leftOut: readonly { readonly count: number; readonly reason: string }[];
}

type Sources = Pick<Checkpoint, 'tensors' | 'unusable'>;

interface Held {
  readonly tensor: SourceTensor | UnusableTensor;
  /** Place in the checkpoint. */
  readonly position: number;
}

/** How many names a fault spells out before it counts the rest: enough to see the pattern. */
const NAMES_SHOWN_MAX = 3;

/** Every tensor that a model of this config has: the table's rows, those with `{N}` per layer. */
export function expectTensors<Config>(
  table: readonly TensorRow<Config>[],
  config: Config,
  layers: number,
): Expected[] {
  const expected: Expected[] = [];
  for (const row of table) {
    const count = row.source.includes('{N}') ? layers : 1;
    for (let layer = 0; layer < count; layer++) {
      const shape = row.shape(config, layer);
      if (shape === undefined) continue;
      const inLayer = (name: string): string => name.replace('{N}', String(layer));
      expected.push({
        source: inLayer(row.source),
        name: inLayer(row.name),
        shape,
        keepF32: row.keepF32,
        optional: row.optional?.(config, layer) ?? false,
        perExpert: (row.perExpert ?? []).map(inLayer),
      });
    }
  }
  return expected;
}

/**
 * Finds each expected tensor and accounts for every tensor of the checkpoint.
 *
 * @param canonical a source name without the prefixes that differ from export to export
 * @throws FaultError QD-2302 to QD-2306, QD-2112
 */
export function matchTensors(
  expected: readonly Expected[],
  sources: Sources,
  canonical: (name: string) => string,
  leaveOut: readonly LeaveOut[],
): Matched {
  const unused = holdByName(sources, canonical);
  const found: { tensor: ModelTensor; position: number }[] = [];
  for (const wanted of expected) {
    const parts = takeParts(wanted, unused);
    if (parts === undefined) continue;
    found.push({
      tensor: modelTensor(wanted, parts),
      position: parts.reduce((least, { position }) => Math.min(least, position), Infinity),
    });
  }
  found.sort((one, other) => one.position - other.position);
  return {
    tensors: found.map(({ tensor }) => tensor),
    leftOut: countLeftOut([...unused.values()], leaveOut),
  };
}

/** GGUF dimensions of a source shape: fastest first, without trailing ones. */
export function ggufShape(shape: SourceShape): number[] {
  const reversed = [...shape].reverse();
  while (reversed.length > 1 && reversed.at(-1) === 1) reversed.pop();
  return reversed;
}

function holdByName(
  { tensors, unusable }: Sources,
  canonical: (name: string) => string,
): Map<string, Held> {
  const held = new Map<string, Held>();
  for (const tensor of [...tensors.values(), ...unusable.values()]) {
    const name = canonical(tensor.name);
    const first = held.get(name);
    if (first !== undefined) {
      throw new FaultError(modelFaults.repeatedTensor, {
        tensor: tensor.name,
        file: tensor.file,
        why: `${first.tensor.name} of ${first.tensor.file} is the same one`,
      });
    }
    held.set(name, { tensor, position: held.size });
  }
  return held;
}

/** Takes the source tensors of one expected tensor out of `unused`; undefined if it may be absent. */
function takeParts(wanted: Expected, unused: Map<string, Held>): Held[] | undefined {
  const whole = unused.get(wanted.source);
  if (whole !== undefined) {
    checkShape(whole.tensor, wanted.shape);
    unused.delete(wanted.source);
    return [whole];
  }
  // The first expert tells which form the checkpoint has; a million names are not made to find out.
  if (wanted.perExpert.some((name) => unused.has(expertName(name, 0)))) {
    return takeExperts(wanted, unused);
  }
  if (wanted.optional) return undefined;
  throw missing(wanted.source, wanted);
}

function takeExperts(wanted: Expected, unused: Map<string, Held>): Held[] {
  const [experts, rows, columns] = wanted.shape;
  assert(
    experts !== undefined && rows !== undefined && columns !== undefined,
    `${wanted.name} is stacked from experts but has no three dimensions`,
  );
  const partShape = [rows / wanted.perExpert.length, columns];
  const parts: Held[] = [];
  for (let expert = 0; expert < experts; expert++) {
    for (const pattern of wanted.perExpert) {
      const name = expertName(pattern, expert);
      const part = unused.get(name);
      if (part === undefined) throw missing(name, { ...wanted, shape: partShape });
      checkShape(part.tensor, partShape);
      unused.delete(name);
      parts.push(part);
    }
  }
  return parts;
}

function expertName(pattern: string, expert: number): string {
  return pattern.replace('{E}', String(expert));
}

function missing(source: string, { name, shape }: Expected): FaultError {
  return new FaultError(modelFaults.missingTensor, {
    tensor: source,
    why: `shape ${shapeText(shape)}, for ${name}`,
  });
}

function checkShape(tensor: UnusableTensor, shape: SourceShape): void {
  const same =
    tensor.shape.length === shape.length &&
    shape.every((size, axis) => size === tensor.shape[axis]);
  if (same) return;
  throw new FaultError(modelFaults.tensorShape, {
    file: tensor.file,
    tensor: tensor.name,
    why: `config.json says ${shapeText(shape)}, the file has ${shapeText(tensor.shape)}`,
  });
}

function shapeText(shape: SourceShape): string {
  return `[${shape.join(', ')}]`;
}

function modelTensor({ name, shape, keepF32 }: Expected, held: readonly Held[]): ModelTensor {
  const parts = held.map(({ tensor }) => usable(tensor));
  const [first] = parts;
  assert(first !== undefined, `${name} has no source`);
  const other = parts.find(({ dtype }) => dtype !== first.dtype);
  if (other !== undefined) {
    throw new FaultError(modelFaults.mixedDtypes, {
      file: other.file,
      tensor: other.name,
      why: `it is ${other.dtype}, ${first.name} is ${first.dtype}`,
    });
  }
  return {
    name,
    shape: ggufShape(shape),
    keepF32,
    source: { kind: 'checkpoint', dtype: first.dtype, parts },
  };
}

function usable(tensor: SourceTensor | UnusableTensor): SourceTensor {
  if (isUsable(tensor)) return tensor;
  const { file, name, dtype } = tensor;
  throw new FaultError(checkpointFaults.dtypeUnsupported, { file, tensor: name, why: dtype });
}

function countLeftOut(unused: readonly Held[], leaveOut: readonly LeaveOut[]): Matched['leftOut'] {
  const counts = new Map<string, number>();
  const unknown: UnusableTensor[] = [];
  for (const { tensor } of unused) {
    const reason = leaveOut.find(({ pattern }) => pattern.test(tensor.name))?.reason;
    if (reason === undefined) unknown.push(tensor);
    else counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const [first] = unknown;
  if (first !== undefined) {
    const others = unknown.slice(1, 1 + NAMES_SHOWN_MAX).map(({ name }) => quoted(name));
    const more = unknown.length - 1 - others.length;
    throw new FaultError(modelFaults.unknownTensor, {
      file: first.file,
      tensor: first.name,
      ...(others.length > 0 && {
        why: `also ${others.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
      }),
    });
  }
  return [...counts].map(([reason, count]) => ({ count, reason }));
}
