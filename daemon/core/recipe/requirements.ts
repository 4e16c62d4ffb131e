/**
 * Requirements: what must be at hand before the first byte of an output is made.
 *
 *   assignments ──▶ checkMakeable, checkImportance ──▶ nothing, or a fault that names tensor and type
 *   ftype ──▶ requirementsOf ──▶ what it would need of a usual model, for lists and help
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import type { ModelShape } from '../models/family.ts';
import { categoryOf } from './categories.ts';
import { recipeFaults } from './faults.ts';
import type { Ftype } from './ftypes.ts';
import {
  assignTypes,
  defaultOptions,
  type RecipeTensor,
  type TypeAssignment,
} from './type-rules.ts';

/** Types so coarse that without weights they make noise, wherever they stand. */
const coarseTypes: readonly BlockTypeName[] = [
  'IQ1_S',
  'IQ1_M',
  'IQ2_XXS',
  'IQ2_XS',
  'IQ2_S',
  'IQ3_XXS',
];
/** Those whose algorithm has no meaning at all without weights. */
const weightedTypes: readonly BlockTypeName[] = ['IQ1_S', 'IQ2_XXS', 'IQ2_XS'];

// A fault is read by a person; a thousand tensors say no more than the first few.
const TENSORS_NAMED_MAX = 5;

/**
 * Refuses, by name, types that this version has no kernel for.
 * @throws FaultError kernelMissing
 */
export function checkMakeable(
  assignments: readonly TypeAssignment[],
  tensors: readonly { readonly name: string }[],
  ftype: Ftype,
): void {
  const missing = pairs(assignments, tensors).filter(({ assignment }) => !isMakeable(assignment));
  const first = missing[0];
  if (first === undefined) return;
  const why = `ftype ${ftype.name} wants ${named(missing)}`;
  throw new FaultError(recipeFaults.kernelMissing, { tensor: first.name, why });
}

/**
 * Refuses types that need an importance matrix for tensors it does not cover.
 * @param measured names of the tensors that have importance; empty without a matrix
 * @throws FaultError importanceMissing
 */
export function checkImportance(
  assignments: readonly TypeAssignment[],
  tensors: readonly { readonly name: string }[],
  ftype: Ftype,
  measured: ReadonlySet<string>,
): void {
  const missing = missingImportance(assignments, tensors, ftype, measured);
  if (missing === undefined) return;
  throw new FaultError(recipeFaults.importanceMissing, missing);
}

/** The first tensor that `checkImportance` would refuse, and a sentence that names some more. */
export function missingImportance(
  assignments: readonly TypeAssignment[],
  tensors: readonly { readonly name: string }[],
  ftype: Ftype,
  measured: ReadonlySet<string>,
): { readonly tensor: string; readonly why: string } | undefined {
  const missing = pairs(assignments, tensors).filter(
    ({ name, assignment }) => needsImportance(name, assignment, ftype) && !measured.has(name),
  );
  const first = missing[0];
  if (first === undefined) return undefined;
  return { tensor: first.name, why: `ftype ${ftype.name} wants ${named(missing)}` };
}

/** Whether a tensor cannot get its type without an importance matrix. */
export function needsImportance(
  name: string,
  { type, reason }: TypeAssignment,
  ftype: Ftype,
): boolean {
  // Bytes that are copied need nothing.
  if (reason === 'kept') return false;
  if (weightedTypes.includes(type)) return true;
  // The matrix never covers these: their inputs are token numbers, or the last layer's output.
  const category = categoryOf(name);
  if (category === 'embedding' || category === 'output') return false;
  return coarseTypes.includes(type) || (type === 'Q2_K' && ftype.name === 'Q2_K_S');
}

export interface FtypeRequirements {
  /** Types of this ftype without a kernel in this version; empty if it can be made. */
  readonly missingTypes: readonly BlockTypeName[];
  readonly needsImportance: boolean;
}

/** What an ftype needs of a usual model: it follows from the rules and the kernels there are. */
export function requirementsOf(ftype: Ftype): FtypeRequirements {
  const assignments = assignTypes({
    shape: usualShape,
    tensors: usualTensors,
    ftype,
    options: defaultOptions,
    hasImportance: false,
  });
  // The default type belongs to the ftype even where, as with experts, no usual tensor gets it.
  const types = new Set([ftype.type, ...assignments.map(({ type }) => type)]);
  return {
    missingTypes: [...types].filter((type) => !blockTypes[type].makeable),
    needsImportance: pairs(assignments, usualTensors).some(({ name, assignment }) =>
      needsImportance(name, assignment, ftype),
    ),
  };
}

// Eight layers are the fewest in which every border of the mixture tables lies inside the model.
const USUAL_LAYERS = 8;
// A multiple of every block size.
const USUAL_COLUMNS = 256;
const usualShape: ModelShape = {
  architecture: 'llama',
  layers: USUAL_LAYERS,
  heads: 8,
  kvHeads: 4,
  experts: 0,
};
const usualTensors: readonly RecipeTensor[] = [
  'output.weight',
  'token_embd.weight',
  ...Array.from({ length: USUAL_LAYERS }, (_, layer) =>
    ['attn_k', 'attn_output', 'attn_q', 'attn_v', 'ffn_down', 'ffn_gate', 'ffn_up'].map(
      (part) => `blk.${layer}.${part}.weight`,
    ),
  ).flat(),
].map((name) => ({ name, shape: [USUAL_COLUMNS, USUAL_COLUMNS], sourceType: 'BF16' }));

interface Pair {
  readonly name: string;
  readonly assignment: TypeAssignment;
}

function pairs(
  assignments: readonly TypeAssignment[],
  tensors: readonly { readonly name: string }[],
): readonly Pair[] {
  assert(assignments.length === tensors.length, 'every tensor has one assignment');
  return assignments.map((assignment, index) => {
    const tensor = tensors[index];
    assert(tensor !== undefined, 'the lists have the same length');
    return { name: tensor.name, assignment };
  });
}

/** Kept tensors are copied, whatever their type. */
function isMakeable({ type, reason }: TypeAssignment): boolean {
  return reason === 'kept' || blockTypes[type].makeable;
}

function named(missing: readonly Pair[]): string {
  const first = missing.slice(0, TENSORS_NAMED_MAX);
  const list = first.map(({ name, assignment }) => `${assignment.type} for ${name}`).join(', ');
  const more = missing.length - first.length;
  return more > 0 ? `${list} and ${more} more` : list;
}
