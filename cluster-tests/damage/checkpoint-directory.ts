/**
 * Checkpoint directory: a Hugging Face directory, opened as a command would, for tests.
 *
 *   directory ──▶ readCheckpoint ──▶ Checkpoint
 */

import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import type { Checkpoint } from '../../daemon/core/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';

export async function readCheckpoint(directory: string): Promise<Checkpoint> {
  const hashFile = () => Promise.reject(new Error('nothing is hashed to open a checkpoint'));
  const source = await openSourceDirectory(directory, { hashFile });
  const { checkpoint } = await openCheckpoint(source).finally(() => source.close());
  return checkpoint;
}
