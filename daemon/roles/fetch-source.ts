/** Fetch source: brings the tensor files of a repository to this machine, once a plan needs them. */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { Source } from '../ports.ts';
import type { DescribedSource } from './describe-source.ts';
import { runFaults } from './faults.ts';
import { wantedFiles } from './fingerprint.ts';
import type { Progress } from './progress.ts';

/**
 * Does nothing for sources that lie on this machine, and the second time.
 * @throws FaultError when it was interrupted, or when the hub does not give what it says it has
 */
export async function fetchSource(
  { remote }: Source,
  { model, files }: Pick<DescribedSource, 'model' | 'files'>,
  progress: Progress,
  drain: AbortSignal,
): Promise<void> {
  if (remote === undefined) return;
  const wanted = wantedFiles(model, files).map(({ file }) => file);
  const bytes = await remote.missingBytes(wanted);
  if (bytes > 0) progress.begin('fetch', bytes);
  try {
    await remote.fetch(wanted, (part) => progress.add(part), drain);
  } catch (error) {
    if (!drain.aborted) throw error;
    throw new FaultError(runFaults.interrupted, { why: 'the source is not fetched yet' });
  }
}

/** Says which commit a run is made from. */
export function tellRepository({ remote }: Source, report: (event: RunEvent) => void): void {
  if (remote === undefined) return;
  const { repository, commit, hubUrl } = remote;
  report({ type: 'repository', repository, commit, hubUrl });
}
