/**
 * Families: which file of this folder reads a checkpoint.
 *
 *   config.json's architectures[0] ──▶ describeModel ──▶ Model  (read next: gemma4.ts)
 *
 * Adding a family is one file and one entry of the list below.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Model, ModelFamily, ModelTensor } from './family.ts';
import { modelFaults } from './faults.ts';
import type { Forward } from './forward.ts';
import { gemma4 } from './gemma4.ts';
import { quoted } from './quoted.ts';

export const families: readonly ModelFamily[] = [gemma4];

/**
 * What the checkpoint becomes in a GGUF.
 *
 * @param name the model's display name (`general.name`)
 * @throws FaultError QD-2301 when no family knows the architecture, else what the family finds
 */
export function describeModel(checkpoint: Checkpoint, name: string): Model {
  return familyOf(checkpoint).describe(checkpoint, name);
}

/**
 * How the checkpoint computes: what an importance matrix is measured with.
 *
 * @throws FaultError QD-2301 when no family knows the architecture, else what the family finds
 */
export function forwardOf(checkpoint: Checkpoint): Forward {
  return familyOf(checkpoint).forward(checkpoint);
}

/**
 * The tensors that `describeModel` lists, where the vocabulary is not at hand.
 *
 * @throws FaultError QD-2301 when no family knows the architecture, else what the family finds
 */
export function tensorsOf(checkpoint: Checkpoint): readonly ModelTensor[] {
  return familyOf(checkpoint).tensors(checkpoint);
}

function familyOf({ config }: Checkpoint): ModelFamily {
  const { architectures } = config;
  const architecture = Array.isArray(architectures) ? architectures[0] : undefined;
  const family = families.find(({ classes }) => classes.some((known) => known === architecture));
  if (family !== undefined) return family;

  const known = families.flatMap(({ classes }) => classes).join(', ');
  throw new FaultError(modelFaults.unknownArchitecture, {
    file: 'config.json',
    key: 'architectures',
    why:
      typeof architecture === 'string'
        ? `${quoted(architecture)}; known are ${known}`
        : `it names none; known are ${known}`,
  });
}
