/**
 * Checksums: SHA256SUMS, in the form that `sha256sum -c` reads.
 *
 *   bytes ──▶ readSums ──▶ digest by file ──▶ compareSums with the lockfile ──▶ findings
 */

import { FaultError } from '../../../proto/fault.ts';
import { decodeUtf8 } from '../checkpoint/config.ts';
import { releaseFaults } from './faults.ts';
import { type Finding, faulty } from './findings.ts';
import type { ReleaseFile } from './read-lock.ts';

export const SUMS_FILE = 'SHA256SUMS';
/** More lines than a release can have files. */
export const SUMS_BYTES_MAX: number = 16 * 1024 * 1024;

// An asterisk in front of the name means that the file is read as bytes, which it always is.
const LINE = /^([0-9a-f]{64}) [ *]([^\\\r\n]+)$/;

/** @throws FaultError badSums */
export function readSums(bytes: Uint8Array): ReadonlyMap<string, string> {
  const fail = (why: string): FaultError =>
    new FaultError(releaseFaults.badSums, { file: SUMS_FILE, why });
  if (bytes.length > SUMS_BYTES_MAX) {
    throw fail(`${bytes.length} bytes, where ${SUMS_BYTES_MAX} are allowed`);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw fail('it is no UTF-8');
  if (!text.endsWith('\n')) throw fail('its last line does not end');
  const sums = new Map<string, string>();
  for (const [index, line] of text.slice(0, -1).split('\n').entries()) {
    const [, sha256, file] = LINE.exec(line) ?? [];
    if (sha256 === undefined || file === undefined) {
      throw fail(`line ${index + 1} is no SHA-256 and name`);
    }
    if (sums.has(file)) throw fail(`line ${index + 1}: ${file} stands in it twice`);
    sums.set(file, sha256);
  }
  return sums;
}

/** Both list the same files with the same digests, or every difference is a finding. */
export function compareSums(
  sums: ReadonlyMap<string, string>,
  files: readonly ReleaseFile[],
): Finding[] {
  const differs = (file: string, why: string): Finding =>
    faulty(releaseFaults.otherSums, { file: SUMS_FILE, why: `${file}: ${why}` });
  const known = new Set(files.map(({ file }) => file));
  return [
    ...files.flatMap(({ file, sha256 }) => {
      const found = sums.get(file);
      if (found === sha256) return [];
      return [differs(file, found === undefined ? 'it is not in it' : `${found}, not ${sha256}`)];
    }),
    ...[...sums.keys()]
      .filter((file) => !known.has(file))
      .map((file) => differs(file, 'the lockfile does not know it')),
  ];
}
