/**
 * Direct hash: neighbouring pieces of a file digested as the disk has them, not the page cache.
 *
 *   DirectFile.read, one step ahead ──▶ StepHasher ──▶ PieceDigests
 *
 * Reading is the event loop's and hashing the addon's, so that no thread of it waits for a disk.
 */

import type { PieceDigests } from '../ports.ts';
import type { DirectFile } from './direct-file.ts';

/** What is wanted of some pieces; see `OutputFile.hash`. */
export interface WantedPieces {
  readonly pieces: readonly number[];
  readonly sums?: readonly boolean[];
  readonly chain?: Uint8Array;
}

export interface PiecesStep extends WantedPieces {
  readonly bytes: Uint8Array;
  /** Of the step before: the first piece may be one that has begun there. */
  readonly progress?: Uint8Array;
}

export interface StepHasher {
  /** Of steps of some MiB at most; what of the pieces is full is in the answer. */
  sha256Step(step: PiecesStep): Promise<PieceDigests & { readonly progress: Uint8Array }>;
}

type StepFound = Awaited<ReturnType<StepHasher['sha256Step']>>;

/** @returns undefined where the file cannot be read past the page cache; ENODATA where it ends early */
export async function hashDirect(
  file: DirectFile,
  offset: number,
  { pieces, sums, chain }: WantedPieces,
  { sha256Step }: StepHasher,
  signal: AbortSignal | undefined,
): Promise<PieceDigests | undefined> {
  const end = pieces.reduce((sum, bytes) => sum + bytes, offset);
  const results: Uint8Array[] = [];
  let found: StepFound | undefined;
  for await (const bytes of readSteps(file, offset, end)) {
    signal?.throwIfAborted();
    if (bytes === undefined) return undefined;
    const before = found === undefined ? { chain } : { progress: found.progress };
    // A piece that is not full goes on in the next step.
    const open = { pieces: pieces.slice(results.length), sums: sums?.slice(results.length) };
    found = await sha256Step(present({ bytes, ...open, ...before }));
    results.push(...found.pieces);
  }
  return found && { pieces: results, digest: found.digest, chain: found.chain };
}

/** The bytes in turn, the next of which are being read meanwhile; at least one step, if an empty one. */
async function* readSteps(
  file: DirectFile,
  offset: number,
  end: number,
): AsyncGenerator<Uint8Array | undefined> {
  const reader = file.reader();
  const read = (at: number): Promise<Uint8Array | undefined> => {
    const reading = reader.read(at, end);
    // It is looked at a step later, or not at all.
    reading.catch(() => undefined);
    return reading;
  };
  let reading = read(offset);
  try {
    for (let at = offset; ; ) {
      const bytes = await reading;
      at += bytes?.length ?? 0;
      if (bytes?.length === 0 && at < end) throw endsEarly();
      if (bytes !== undefined && at < end) reading = read(at);
      yield bytes;
      if (bytes === undefined || at === end) return;
    }
  } finally {
    await reading.catch(() => undefined);
    reader.close();
  }
}

/** Without what is undefined. */
function present(step: { [Key in keyof PiecesStep]: PiecesStep[Key] | undefined }): PiecesStep {
  const { bytes = new Uint8Array(0), pieces = [], sums, chain, progress } = step;
  return {
    ...{ bytes, pieces },
    ...(sums && { sums }),
    ...(chain && { chain }),
    ...(progress && { progress }),
  };
}

function endsEarly(): Error {
  return Object.assign(new Error('the file ends early'), { code: 'ENODATA' });
}
