/**
 * Compare inputs: whether what a release was made from lies here, before anything is computed.
 *
 *   PureLock + paths ──▶ compareInputs ──▶ nothing, or the first input that differs, with both digests
 */

import { FaultError } from '../../proto/fault.ts';
import type { PureLock } from '../../proto/lockfile.ts';
import { hex } from '../core/plan/unit-id.ts';
import { releaseFaults } from '../core/release/faults.ts';
import type { RebuildPaths } from '../core/release/rebuild.ts';
import type { Kernels, Source } from '../ports.ts';
import { digestFiles } from './fingerprint.ts';
import type { Progress } from './progress.ts';
import type { OpenFile } from './read-imatrix.ts';
import type { RunPorts } from './run.ts';

export interface InputPorts {
  readonly openSource: RunPorts['openSource'];
  readonly openFile: OpenFile;
  readonly kernels: Pick<Kernels, 'sha256File'>;
}

/** @throws FaultError otherInput; what is wrong with opening the source */
export async function compareInputs(
  lock: PureLock,
  paths: RebuildPaths,
  ports: InputPorts,
  { progress, drain }: { readonly progress: Progress; readonly drain: AbortSignal },
): Promise<void> {
  // The small ones first: they cost nothing.
  for (const [index, text] of (lock.calibration?.texts ?? []).entries()) {
    await compareFile(text, paths.texts[index] ?? '', ports, drain);
  }
  if (lock.imatrix !== undefined && paths.imatrix !== undefined) {
    await compareFile(lock.imatrix, paths.imatrix, ports, drain);
  }
  const source = await ports.openSource(paths.source.source, paths.source);
  try {
    await compareSource(lock, source, { progress, drain });
  } finally {
    await source.close();
  }
}

type Digested = PureLock['files'][number];

async function compareFile(
  wanted: Digested,
  path: string,
  { openFile, kernels }: InputPorts,
  drain: AbortSignal,
): Promise<void> {
  const found = await openFile(path).catch((cause: unknown) => {
    if (!(cause instanceof FaultError)) throw cause;
    throw other(wanted.file, 'it is not there');
  });
  await found.close();
  const digest = hex(await kernels.sha256File(path, drain));
  if (digest !== wanted.sha256) throw other(wanted.file, bothText(digest, wanted.sha256));
}

async function compareSource(
  { source: { files } }: PureLock,
  source: Source,
  { progress, drain }: { readonly progress: Progress; readonly drain: AbortSignal },
): Promise<void> {
  const found = new Map((await source.list()).map(({ file, bytes }) => [file, bytes]));
  for (const { file, bytes } of files) {
    const have = found.get(file);
    if (have === undefined) throw other(file, 'SOURCE does not have it');
    if (have !== bytes) throw other(file, `${have} bytes, ${bytes} in the lockfile`);
  }
  const digests = await digestFiles(source, files, progress, drain);
  for (const { file, sha256 } of files) {
    const digest = digests.get(file) ?? '';
    if (digest !== sha256) throw other(file, bothText(digest, sha256));
  }
}

function bothText(found: string, wanted: string): string {
  return `SHA-256 ${found}, ${wanted} in the lockfile`;
}

function other(file: string, why: string): FaultError {
  return new FaultError(releaseFaults.otherInput, { file, why });
}
