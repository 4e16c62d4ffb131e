/**
 * Opens a GGUF as a source: reads the headers of all its files, never a tensor.
 *
 *   Source of one named file ──▶ openGguf ──▶ GgufPart[]  (read next: core/models/gguf-model.ts)
 */

import type { GgufPart } from '../core/gguf/reader.ts';
import type { Source } from '../ports.ts';
import { readGguf } from './inspect.ts';

/**
 * The named file and, where it says that it is a part of a split one, the files beside it that are
 * named as its other parts. Whether they are all of them is asked by describeGguf.
 * @throws FaultError QD-31xx when one of them is not strictly a GGUF
 */
export async function openGguf(
  source: Pick<Source, 'list' | 'read'>,
  named: string,
  signal?: AbortSignal,
): Promise<readonly GgufPart[]> {
  const sizes = new Map((await source.list()).map(({ file, bytes }) => [file, bytes]));
  const open = async (file: string): Promise<GgufPart> => {
    const reader = {
      bytes: sizes.get(file) ?? 0,
      read: (offset: number, into: Uint8Array) => source.read(file, offset, into, signal),
    };
    return { file, gguf: await readGguf(reader, file) };
  };
  const first = await open(named);
  if (first.gguf.split === undefined) return [first];
  const parts = [first];
  // One after the other: a hostile header may take much memory while it is read.
  for (const file of sizes.keys()) if (file !== named) parts.push(await open(file));
  return parts;
}
