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
import { batchesOf, type Piece, piecesOf } from '../core/release/pieces.ts';
import type { OutputDirectory, OutputFile } from '../ports.ts';
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
    const found = await hashPieces(opened, pieces, progress, signal);
    if (found.sha256 !== (sealed.get(file) ?? found.sha256)) {
      throw new FaultError(makeFaults.changed, { file });
    }
    const tensors = pieces.flatMap(({ tensor }, index): LockedOutput['tensors'] =>
      tensor === undefined
        ? []
        : [[tensor, types.get(tensor) ?? ftype.type, found.digests[index] ?? '']],
    );
    const header = found.digests[0] ?? '';
    return { file, bytes, sha256: found.sha256, ftype: ftype.name, bitsPerWeight, header, tensors };
  } finally {
    await opened.close();
  }
}

/** SHA-256 of every piece and of the whole, in lower-case hex. */
async function hashPieces(
  file: OutputFile,
  pieces: readonly Piece[],
  progress: Progress,
  signal: AbortSignal,
): Promise<{ digests: string[]; sha256: string }> {
  const digests: string[] = [];
  let sha256 = '';
  let chain: Uint8Array | undefined;
  for (const batch of batchesOf(pieces)) {
    const sizes = batch.map(({ bytes }) => bytes);
    const found = await file.hash(batch[0]?.offset ?? 0, sizes, chain, signal);
    digests.push(...found.pieces.map(hex));
    sha256 = hex(found.digest);
    ({ chain } = found);
    progress.add(sizes.reduce((sum, size) => sum + size, 0));
  }
  return { digests, sha256 };
}
