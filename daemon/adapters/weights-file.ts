/** Weights file: made weights where the kernels expect weights to be, for as long as they are used. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @param use is given the path of a file that holds the bytes */
export async function withWeights<Result>(
  directory: string,
  bytes: Uint8Array,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const place = await mkdtemp(join(directory, 'weights-'));
  try {
    const path = join(place, 'weights');
    await writeFile(path, bytes);
    return await use(path);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
