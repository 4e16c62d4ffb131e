/**
 * Left record: outputs of a release that lie on other machines, as its folder tells of them.
 *
 *   LeftRecord ──▶ encodeLeft ──▶ quantd.left.json ──▶ readLeft ──▶ LeftRecord that fits the lockfile
 *
 * Whoever has the folder can write the file: what it says of bytes counts only where the lockfile
 * says the same.
 */

import { FaultError } from '../../../proto/fault.ts';
import {
  LEFT_BYTES_MAX,
  LEFT_FILE,
  LEFT_SCHEMA,
  type LeftRecord,
  leftRecord,
} from '../../../proto/left-record.ts';
import type { LockFile } from '../../../proto/lockfile.ts';
import { releaseFaults } from './faults.ts';
import { parseStrictly } from './read-lock.ts';

export function encodeLeft(record: Omit<LeftRecord, 'schema'>): Uint8Array {
  return new TextEncoder().encode(
    `${JSON.stringify({ schema: LEFT_SCHEMA, ...record }, undefined, 1)}\n`,
  );
}

/** @throws FaultError badLeft where it is malformed, or tells of other outputs than the lockfile */
export function readLeft(bytes: Uint8Array, lock: LockFile | undefined): LeftRecord {
  const fail = (why: string, byte?: number): FaultError =>
    new FaultError(releaseFaults.badLeft, {
      file: LEFT_FILE,
      ...(byte === undefined ? {} : { byte }),
      why,
    });
  if (bytes.length > LEFT_BYTES_MAX) throw fail(`more than ${LEFT_BYTES_MAX} bytes`);
  const record = parseStrictly(bytes, leftRecord, fail);
  if (lock === undefined) throw fail('without a lockfile nobody knows what they should be');
  const locked = new Map(lock.lock.outputs.map((output) => [output.file, output]));
  const seen = new Set<string>();
  for (const { file, bytes: size, sha256 } of record.outputs) {
    if (seen.has(file)) throw fail(`${file} stands in it twice`);
    seen.add(file);
    const output = locked.get(file);
    if (output === undefined) throw fail(`the lockfile has no output ${file}`);
    if (output.bytes === size && output.sha256 === sha256) continue;
    throw fail(`of ${file} the lockfile tells ${output.bytes} bytes with SHA-256 ${output.sha256}`);
  }
  return record;
}
