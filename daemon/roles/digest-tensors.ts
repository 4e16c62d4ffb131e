/**
 * Digest tensors: one reading of every sealed output, for the digest of each tensor in it.
 *
 *   outputs ──▶ pieces ──▶ OutputFile.hash ──▶ LockedOutput[]   (proto/lockfile.ts)
 *
 * An output that lies on another machine is read through the network and not kept: what is signed
 * for was seen here.
 */

import { FaultError } from '../../proto/fault.ts';
import type { LockedOutput } from '../../proto/lockfile.ts';
import type { OutputPlan } from '../core/plan/outputs.ts';
import { hex } from '../core/plan/unit-id.ts';
import { makeFaults } from '../core/release/make-faults.ts';
import { type Piece, piecesOf } from '../core/release/pieces.ts';
import type { OutputDirectory, RunningDigest } from '../ports.ts';
import { assemblyFaults } from './assembly-faults.ts';
import { hashPieces } from './hash-pieces.ts';
import type { LeftFile } from './left-outputs.ts';
import type { Progress } from './progress.ts';

export interface DigestRequest {
  readonly outputs: readonly OutputPlan[];
  /** SHA-256 of each output as it was sealed, by file. */
  readonly sealed: ReadonlyMap<string, string>;
  readonly directory: OutputDirectory;
  /** Those of them that lie on other machines. */
  readonly left: readonly LeftFile[];
  readonly startDigest: () => RunningDigest;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

interface Digested {
  readonly sha256: string;
  /** Of each piece. */
  readonly digests: readonly string[];
}

// What is hashed at once on the main thread: some milliseconds.
const STEP_BYTES: number = 4 * 1024 * 1024;

/**
 * Reads the outputs side by side.
 * @throws FaultError changed or leftOther when a file is not what was sealed; leftAway
 */
export async function digestTensors(request: DigestRequest): Promise<LockedOutput[]> {
  const { outputs, progress } = request;
  progress.begin(
    'digest',
    outputs.reduce((sum, { layout }) => sum + layout.fileBytes, 0),
  );
  return await Promise.all(outputs.map((output) => digestOutput(output, request)));
}

async function digestOutput(output: OutputPlan, request: DigestRequest): Promise<LockedOutput> {
  const { file, ftype, layout, bitsPerWeight, types } = output;
  const pieces = [...piecesOf(layout, layout.dataStart)];
  const left = request.left.find((each) => each.output.file === file);
  const { sha256, digests } =
    left === undefined
      ? await digestHere(output, pieces, request)
      : await digestThere(left, pieces, request);
  if (sha256 !== (request.sealed.get(file) ?? sha256)) {
    const { machine: why } = left?.output ?? {};
    if (why !== undefined) throw new FaultError(assemblyFaults.leftOther, { file, why });
    throw new FaultError(makeFaults.changed, { file });
  }
  const tensors = pieces.flatMap(({ tensor }, index): LockedOutput['tensors'] =>
    tensor === undefined ? [] : [[tensor, types.get(tensor) ?? ftype.type, digests[index] ?? '']],
  );
  const header = digests[0] ?? '';
  const bytes = layout.fileBytes;
  return { file, bytes, sha256, ftype: ftype.name, bitsPerWeight, header, tensors };
}

async function digestHere(
  { file, layout }: OutputPlan,
  pieces: readonly Piece[],
  { directory, progress, signal }: DigestRequest,
): Promise<Digested> {
  const opened = await directory.open(file, layout.fileBytes, { overwrite: false });
  try {
    const digests: string[] = [];
    const digest = await hashPieces(opened, pieces, {
      onPieces: (_, found) => void digests.push(...found.map(hex)),
      onBytes: (more) => progress.add(more),
      signal,
    });
    return { sha256: hex(digest), digests };
  } finally {
    await opened.close();
  }
}

async function digestThere(
  { reader }: LeftFile,
  pieces: readonly Piece[],
  { startDigest, progress, signal }: DigestRequest,
): Promise<Digested> {
  const whole = startDigest();
  const digests: string[] = [];
  for (const { offset, bytes } of pieces) {
    const own = startDigest();
    for (let at = 0; at < bytes; at += STEP_BYTES) {
      const into = new Uint8Array(Math.min(STEP_BYTES, bytes - at));
      await reader.read(offset + at, into, signal);
      own.update(into);
      whole.update(into);
      progress.add(into.length);
    }
    digests.push(hex(own.digest()));
  }
  return { sha256: hex(whole.digest()), digests };
}
