/**
 * Rebuild: what a release was made from, as a request that makes it again.
 *
 *   PureLock + where its inputs lie here ──▶ requestFromLock ──▶ ReleaseRequest
 */

import { FaultError } from '../../../proto/fault.ts';
import { LOCK_FILE, type PureLock } from '../../../proto/lockfile.ts';
import type { ReleaseRequest } from '../../../proto/requests.ts';
import { releaseFaults } from './faults.ts';
import { type Finding, warning } from './findings.ts';
import { RULES, type SelfTests } from './lock.ts';

export interface RebuildPaths {
  /** With how it is reached, where it is a repository. */
  readonly source: Pick<ReleaseRequest, 'source' | 'hub' | 'keepSource'>;
  /** Absolute path of the directory that gets the folder of the release. */
  readonly out: string;
  /** Of the calibration's texts, in the order of the lockfile. */
  readonly texts: readonly string[];
  /** Of the importance matrix, where it was given and not measured. */
  readonly imatrix: string | undefined;
}

export function requestFromLock(lock: PureLock, paths: RebuildPaths): ReleaseRequest {
  const { wishes, calibration, imatrix } = lock;
  const { source, out } = paths;
  const request = { ...wishes, ...source, kind: 'release', out, overwrite: false } as const;
  if (calibration !== undefined) {
    const files = paths.texts.map((path, index) => ({
      path,
      given: calibration.texts[index]?.name ?? path,
    }));
    return {
      ...request,
      calibration: { ...calibration.options, files, default: false, replicas: 1 },
    };
  }
  if (imatrix === undefined || paths.imatrix === undefined) return request;
  return { ...request, imatrix: { path: paths.imatrix, given: imatrix.name } };
}

/** A name that can begin that of a file or folder on any system, and never leads elsewhere. */
export const PLAIN_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** What the folder of the release is called. @throws FaultError badLock where it is no name */
export function folderName({ wishes }: PureLock): string {
  // It becomes part of a path before the source has been asked.
  if (PLAIN_NAME.test(wishes.name)) return `${wishes.name}-GGUF`;
  const why = `wishes.name: ${JSON.stringify(wishes.name)} is no name of a file`;
  throw new FaultError(releaseFaults.badLock, { file: LOCK_FILE, why });
}

/**
 * Whether this program makes the same bytes: that of another version does, where its contracts are
 * the same.
 * @throws FaultError otherContract, with both digests
 */
export function checkContracts(
  lock: Pick<PureLock, 'contracts' | 'quantd'>,
  { version, selfTests }: { readonly version: string; readonly selfTests: SelfTests },
  contract: string,
): Finding[] {
  const { rules, quantizers, measuring } = lock.contracts;
  const pairs: [string, string, string][] = [
    ['rules', rules, RULES],
    ['quantizers', quantizers, selfTests.quantizers],
    ['measuring', measuring.name, contract],
    ['measuring', measuring.selfTest, selfTests.forward],
  ];
  for (const [key, wanted, own] of pairs) {
    if (wanted === own) continue;
    const hint = `install the version that made it: npm install -g quantd@${lock.quantd}`;
    const why = `${own} here, ${wanted} in the lockfile`;
    throw new FaultError(releaseFaults.otherContract, { key: `contracts.${key}`, why, hint });
  }
  if (lock.quantd === version) return [];
  return [warning(releaseFaults.otherVersion, { why: `${lock.quantd}; this is ${version}` })];
}
