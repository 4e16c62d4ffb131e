/**
 * Digest tensors: one reading of every sealed output, for the digest of each tensor in it.
 *
 *   outputs ──▶ pieces ──▶ OutputFile.hash ──▶ LockedOutput[]   (proto/lockfile.ts)
 */

import { FaultError } from '../../proto/fault.ts';
import type { LockedOutput } from '../../proto/lockfile.ts';
import type { OutputPlan } from '../core/plan/outputs.ts';
import { hex } from '../core/plan/unit-id.ts';
import { makeFaults } from '../core/release/make-faults.ts';
import { piecesOf } from '../core/release/pieces.ts';
import type { OutputDirectory } from '../ports.ts';
import { hashPieces } from './hash-pieces.ts';
import type { Progress } from './progress.ts';

export interface DigestRequest {
  readonly outputs: readonly OutputPlan[];
  /** SHA-256 of each output as it was sealed, by file. */
  readonly sealed: ReadonlyMap<string, string>;
  readonly directory: OutputDirectory;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Reads the outputs side by side.
 * @throws FaultError changed when a file is not what was sealed
 */
export async function digestTensors(request: DigestRequest): Promise<LockedOutput[]> {
  const { outputs, progress } = request;
  progress.begin(
    'digest',
    outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0),
  );
  return await Promise.all(outputs.map((output) => digestOutput(output, request)));
}

async function digestOutput(
  { file, ftype, layout, bitsPerWeight, types }: OutputPlan,
  { sealed, directory, progress, signal }: DigestRequest,
): Promise<LockedOutput> {
  const bytes = layout.fileBytes;
  const pieces = [...piecesOf(layout, layout.dataStart)];
  const opened = await directory.open(file, bytes, { overwrite: false });
  try {
    const digests: string[] = [];
    const digest = await hashPieces(opened, pieces, {
      onPieces: (_, found) => void digests.push(...found.map(hex)),
      onBytes: (more) => progress.add(more),
      signal,
    });
    const sha256 = hex(digest);
    if (sha256 !== (sealed.get(file) ?? sha256)) {
      throw new FaultError(makeFaults.changed, { file });
    }
    const tensors = pieces.flatMap(({ tensor }, index): LockedOutput['tensors'] =>
      tensor === undefined ? [] : [[tensor, types.get(tensor) ?? ftype.type, digests[index] ?? '']],
    );
    const header = digests[0] ?? '';
    return { file, bytes, sha256, ftype: ftype.name, bitsPerWeight, header, tensors };
  } finally {
    await opened.close();
  }
}
