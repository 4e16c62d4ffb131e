/** Fingerprint: the digests that stand for a source in every id. */

import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import type { Model } from '../core/models/family.ts';
import type { Source } from '../ports.ts';
import type { Progress } from './progress.ts';

/** The digest of every file that a wanted tensor lies in. */
export async function fingerprint(
  source: Source,
  model: Model,
  all: readonly SourceFile[],
  progress: Progress,
  drain: AbortSignal,
): Promise<Map<string, string>> {
  return digestFiles(source, wantedFiles(model, all), progress, drain);
}

/** The digest of each file, all of them side by side. */
export async function digestFiles(
  source: Pick<Source, 'digest'>,
  files: readonly SourceFile[],
  progress: Progress,
  drain: AbortSignal,
): Promise<Map<string, string>> {
  progress.begin(
    'fingerprint',
    files.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const digests = await Promise.all(
    files.map(async ({ file, bytes }) => {
      const digest = await source.digest(file, drain);
      progress.add(bytes);
      return [file, digest] as const;
    }),
  );
  return new Map(digests);
}

/** The files that a wanted tensor lies in. */
export function wantedFiles(model: Model, all: readonly SourceFile[]): SourceFile[] {
  const wanted = new Set(
    model.tensors.flatMap((tensor) =>
      tensor.source.kind === 'generated' ? [] : tensor.source.parts.map(({ file }) => file),
    ),
  );
  return all.filter(({ file }) => wanted.has(file));
}
