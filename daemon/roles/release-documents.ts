/**
 * Release documents: what a folder says of itself, read and compared before any large file is.
 *
 *   ReleaseFolder ──▶ lockfile, signature, SHA256SUMS ──▶ Documents: what every file should be
 */

import { FaultError } from '../../proto/fault.ts';
import { LOCK_BYTES_MAX, LOCK_FILE, type LockFile, SIGNATURE_FILE } from '../../proto/lockfile.ts';
import { compareSums, readSums, SUMS_BYTES_MAX, SUMS_FILE } from '../core/release/checksums.ts';
import { releaseFaults } from '../core/release/faults.ts';
import { type Finding, faulty } from '../core/release/findings.ts';
import { pureFiles, readLock } from '../core/release/read-lock.ts';
import { checkSignature, SIGNATURE_BYTES_MAX, type Verify } from '../core/release/signature.ts';
import type { ReleaseFolder } from '../release-ports.ts';

export interface Documents {
  readonly lock?: LockFile;
  /** The peer id of a good signature. */
  readonly signer?: string;
  /** SHA-256 by file. */
  readonly sums?: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
}

/**
 * Every document that is there; what is wrong with one is a finding. That one is missing is the
 * caller's to judge, but for what a lockfile has beside it.
 */
export async function readDocuments(
  folder: ReleaseFolder,
  { verify, signer }: { readonly verify: Verify; readonly signer: string | undefined },
): Promise<Documents> {
  const findings: Finding[] = [];
  const lockBytes = await readWhole(folder, LOCK_FILE, LOCK_BYTES_MAX, findings);
  const sumsBytes = await readWhole(folder, SUMS_FILE, SUMS_BYTES_MAX, findings);
  const sums = sumsBytes && asFinding(findings, () => readSums(sumsBytes));
  if (lockBytes === undefined) return { findings, ...(sums === undefined ? {} : { sums }) };
  const signature = await readWhole(folder, SIGNATURE_FILE, SIGNATURE_BYTES_MAX, findings);
  const checked = checkSignature(lockBytes, signature, verify, signer);
  findings.push(...checked.findings);
  const lock = asFinding(findings, () => readLock(lockBytes));
  if (lock !== undefined && sumsBytes === undefined) {
    findings.push(faulty(releaseFaults.otherSums, { file: SUMS_FILE, why: 'it is missing' }));
  }
  if (lock !== undefined && sums !== undefined) {
    findings.push(...compareSums(sums, pureFiles(lock.lock)));
  }
  return {
    findings,
    ...(lock === undefined ? {} : { lock }),
    ...(checked.signer === undefined ? {} : { signer: checked.signer }),
    ...(sums === undefined ? {} : { sums }),
  };
}

/** All of a small file; undefined where it is missing, which is no finding, or cannot be read. */
export async function readWhole(
  folder: ReleaseFolder,
  file: string,
  bytesMax: number,
  findings: Finding[],
): Promise<Uint8Array | undefined> {
  const isThere = (await folder.list()).some((entry) => entry.file === file);
  if (!isThere) return undefined;
  try {
    return await readSome(folder, file, bytesMax);
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    findings.push(faulty(error.kind, error.detail));
    return undefined;
  }
}

/** Of one that is too large a byte more than is allowed: enough to see that it is. */
export async function readSome(
  folder: ReleaseFolder,
  file: string,
  bytesMax: number,
): Promise<Uint8Array> {
  const opened = await folder.open(file);
  try {
    const bytes = new Uint8Array(Math.min(opened.bytes, bytesMax + 1));
    if (bytes.length > 0) await opened.read(0, bytes);
    return bytes;
  } finally {
    await opened.close();
  }
}

function asFinding<Result>(findings: Finding[], work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    findings.push(faulty(error.kind, error.detail));
    return undefined;
  }
}
