/**
 * Read lock: the bytes of a quantd.lock.json, checked until nothing in it can surprise the code after it.
 *
 *   bytes ──▶ readLock ──▶ LockFile ──▶ releaseFiles ──▶ every file of the release, each once
 *
 * The schema is proto/lockfile.ts. A name in it cannot leave the folder; what two readers could take
 * for different things (a key given twice, two digests for one file) is refused.
 */

import { FaultError } from '../../../proto/fault.ts';
import {
  LOCK_BYTES_MAX,
  LOCK_FILE,
  type LockedOutput,
  type LockFile,
  lockFile,
  type PureLock,
  SIGNATURE_FILE,
} from '../../../proto/lockfile.ts';
import { decodeUtf8 } from '../checkpoint/config.ts';
import { parseJson } from '../checkpoint/json.ts';
import { releaseFaults } from './faults.ts';

// The lists of a lockfile nest seven deep.
const DEPTH_MAX = 16;

/** @throws FaultError badLock */
export function readLock(bytes: Uint8Array): LockFile {
  if (bytes.length > LOCK_BYTES_MAX) {
    throw badLock(`${bytes.length} bytes, where ${LOCK_BYTES_MAX} are allowed`);
  }
  const lock = parseStrictly(bytes, lockFile, badLock);
  checkNames(lock);
  return lock;
}

/** As zod makes them. */
interface Schema<Value> {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: Value }
    | {
        readonly success: false;
        readonly error: {
          readonly issues: readonly {
            readonly path: readonly PropertyKey[];
            readonly message: string;
          }[];
        };
      };
}

/**
 * JSON of a schema that says of every key what it is.
 * @param fail makes the error of a reason and the byte it was found at
 */
export function parseStrictly<Value>(
  bytes: Uint8Array,
  schema: Schema<Value>,
  fail: (why: string, byte?: number) => Error,
): Value {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw fail('it is no UTF-8');
  const value = parseJson(text, {
    depthMax: DEPTH_MAX,
    fail: ({ why, byte }) => {
      throw fail(why, byte);
    },
  });
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw fail(`${issue?.path.join('.') || 'all of it'}: ${issue?.message ?? 'it is malformed'}`);
}

function badLock(why: string, byte?: number): FaultError {
  return new FaultError(releaseFaults.badLock, {
    file: LOCK_FILE,
    ...(byte === undefined ? {} : { byte }),
    why,
  });
}

/** A file and what it should be. */
export interface ReleaseFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Where it is one of the outputs. */
  readonly output?: LockedOutput;
}

/** The files that are the same in every cluster: outputs, matrix, the others; as SHA256SUMS lists them. */
export function pureFiles({ outputs, imatrix, files, calibration }: PureLock): ReleaseFile[] {
  const all = [
    ...outputs.map((output) => ({ ...only(output), output })),
    ...(imatrix === undefined ? [] : [only(imatrix)]),
    ...files.map(only),
    ...(calibration?.texts ?? []).map(only),
  ];
  // The texts of the calibration stand among the other files too, and the matrix may.
  const seen = new Set<string>();
  return all.filter(({ file }) => !seen.has(file) && seen.add(file));
}

/** Those, and the files that tell of one run. */
export function releaseFiles(lock: LockFile): ReleaseFile[] {
  return [...pureFiles(lock.lock), ...(lock.run.files ?? []).map(only)];
}

function only({ file, bytes, sha256 }: ReleaseFile): ReleaseFile {
  return { file, bytes, sha256 };
}

function checkNames(lock: LockFile): void {
  const { outputs, files } = lock.lock;
  // Some file systems take names for one that differ by capitals alone.
  const known = new Map<string, ReleaseFile>();
  for (const found of [...outputs, ...files, ...(lock.run.files ?? [])]) {
    const key = found.file.toLowerCase();
    if (known.has(key)) throw badLock(`${found.file} stands in it twice`);
    known.set(key, found);
  }
  for (const own of [LOCK_FILE, SIGNATURE_FILE]) {
    if (known.has(own)) throw badLock(`${own} cannot tell of itself`);
  }
  checkRepeated(lock, known);
  for (const { file, tensors } of outputs) {
    const names = new Set(tensors.map(([name]) => name));
    if (names.size < tensors.length) throw badLock(`a tensor of ${file} stands in it twice`);
  }
}

/** The texts, which stand among the other files too, and the matrix, which may. */
function checkRepeated({ lock }: LockFile, known: ReadonlyMap<string, ReleaseFile>): void {
  const { imatrix, calibration } = lock;
  for (const found of [
    ...(imatrix === undefined ? [] : [imatrix]),
    ...(calibration?.texts ?? []),
  ]) {
    const listed = known.get(found.file.toLowerCase());
    const { file, sha256, bytes } = listed ?? found;
    if (file !== found.file || sha256 !== found.sha256 || bytes !== found.bytes) {
      throw badLock(`it says two things of ${found.file}`);
    }
  }
}
