/**
 * Importance matrix: everything that a file of the kind holds, with its numbers.
 *
 *   measured.ts, merge-files.ts ──▶ ImportanceMatrix ──▶ encode-imatrix.ts, show-statistics.ts
 *
 * Opening a file for quantizing keeps less than this, and in another form: importance.ts.
 */

export interface MatrixEntry {
  /** The tensor's. */
  readonly name: string;
  readonly columns: number;
  /** The experts, else 1. */
  readonly matrices: number;
  /** (matrices, columns) sums of squares. */
  readonly sums: Float32Array;
  /** How many rows each matrix has seen. */
  readonly counts: readonly number[];
}

export interface ImportanceMatrix {
  /** Each name once, by the bytes of the name. */
  readonly entries: readonly MatrixEntry[];
  /** The texts it was made of, without folders. */
  readonly datasets: readonly string[];
  readonly chunkCount: number;
  /** Tokens a chunk. */
  readonly chunkSize: number;
}

/** By the bytes of their names, which is the order of every file. */
export function sortedByName<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  // Code points compare as the bytes of their UTF-8 do; UTF-16 units do not.
  const keyed = entries.map((entry) => ({ entry, points: [...entry.name] }));
  return keyed.sort((a, b) => comparePoints(a.points, b.points)).map(({ entry }) => entry);
}

function comparePoints(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((point, index) => point !== b[index]);
  if (at < 0) return a.length - b.length;
  return (a[at]?.codePointAt(0) ?? -1) - (b[at]?.codePointAt(0) ?? -1);
}

/** A file's name without folders, of whichever system the path is. */
export function baseNameOf(path: string): string {
  const name = path.split(/[/\\]/).findLast((part) => part !== '');
  return name ?? '';
}
