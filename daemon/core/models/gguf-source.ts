/**
 * GGUF source: what may become of tensors that are what they are already.
 *
 *   assignments + stored types ──▶ checkSources ──▶ the assignments that change something
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import type { RecipeTensor, TypeAssignment } from '../recipe/type-rules.ts';
import { ggufModelFaults } from './gguf-faults.ts';

// Integers are no weights, doubles stand in no model, and Q8_1 and Q8_K are what activations become
// inside a matrix product: no file has a reason to hold them.
const unreadable: readonly BlockTypeName[] = ['I8', 'I16', 'I32', 'I64', 'F64', 'Q8_1', 'Q8_K'];

/** Whether the kernels can make numbers of the elements of this type. */
export function isReadable(type: BlockTypeName): boolean {
  return !unreadable.includes(type);
}

/**
 * The assignments, with `kept` as the reason of those that leave a tensor as it is stored: its
 * bytes are copied, so that no kernel and no importance is needed for it.
 * @param tensors in the order of the assignments
 * @throws FaultError QD-3303 where a quantized tensor would change and may not, QD-3304 where it
 * would and cannot
 */
export function checkSources(
  assignments: readonly TypeAssignment[],
  tensors: readonly RecipeTensor[],
  allowRequantize: boolean,
): readonly TypeAssignment[] {
  return assignments.map((assignment, index) => {
    const tensor = tensors[index];
    assert(tensor !== undefined, 'every tensor has one assignment');
    const { name, sourceType } = tensor;
    if (assignment.type === sourceType) return { type: sourceType, reason: 'kept' };
    const why = `it is ${sourceType}, ${assignment.type} is wanted`;
    if (!isReadable(sourceType)) {
      throw new FaultError(ggufModelFaults.noNumbers, { tensor: name, why });
    }
    if (blockTypes[sourceType].quantized && !allowRequantize) {
      throw new FaultError(ggufModelFaults.alreadyQuantized, { tensor: name, why });
    }
    return assignment;
  });
}
