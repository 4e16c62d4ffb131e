/**
 * Small release: a release of a few kilobytes in memory, with every file that a release has.
 *
 *   makeSmallRelease ──▶ bytes by name ──▶ memoryFolder ──▶ ReleaseFolder (daemon/release-ports.ts)
 */

import { createHash } from 'node:crypto';
import { identityOf } from '../daemon/adapters/cryptography.ts';
import { folderFaults } from '../daemon/adapters/release-folder-faults.ts';
import { layoutGguf } from '../daemon/core/gguf/layout.ts';
import { peerIdOf } from '../daemon/core/membership/peer-id.ts';
import { encodeLock } from '../daemon/core/release/lock.ts';
import { encodeSums } from '../daemon/core/release/write-sums.ts';
import type { ReleaseFolder } from '../daemon/release-ports.ts';
import { FaultError } from '../proto/fault.ts';
import {
  LOCK_FILE,
  type LockedOutput,
  type LockFile,
  lockFile,
  SIGNATURE_FILE,
} from '../proto/lockfile.ts';
import { sha256, sha256Hex } from './simulator/sha256.ts';

export type Files = Map<string, Uint8Array>;

const identity = identityOf(new Uint8Array(32).fill(7));
export const SIGNER = peerIdOf(identity.publicKey);

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A model of two tensors; their bytes are no meaningful blocks, which nobody asks here. */
function makeGguf(
  seed: number,
  type: 'Q8_0' | 'Q4_0',
): { bytes: Uint8Array; output: LockedOutput } {
  const metadata = [
    { key: 'general.architecture', value: { type: 'string', value: 'gemma4' } },
    { key: 'general.name', value: { type: 'string', value: 'Small' } },
  ] as const;
  const tensors = [
    { name: 'blk.0.attn_q.weight', shape: [32, 3], type },
    { name: 'blk.0.attn_norm.weight', shape: [5], type: 'F32' },
  ] as const;
  const layout = layoutGguf({ metadata, tensors });
  const bytes = new Uint8Array(layout.fileBytes);
  bytes.set(layout.header);
  for (const { offset, bytes: length } of layout.tensors) {
    for (let index = 0; index < length; index++) bytes[offset + index] = (seed + 31 * index) % 256;
  }
  const digests = layout.tensors.map(
    ({ name, type: its, offset, bytes: length }): LockedOutput['tensors'][number] => [
      name,
      its,
      sha256Hex(bytes.subarray(offset, offset + length)),
    ],
  );
  const output = {
    ...digestedFile(`Small-${type}.gguf`, bytes),
    ...{ ftype: type, bitsPerWeight: 8.5, header: sha256Hex(layout.header), tensors: digests },
  };
  return { bytes, output };
}

function digestedFile(
  file: string,
  bytes: Uint8Array,
): { file: string; bytes: number; sha256: string } {
  return { file, bytes: bytes.length, sha256: sha256Hex(bytes) };
}

/** A matrix is a GGUF whose tensors have no digests of their own. */
function makeMatrix(): Uint8Array {
  const metadata = [{ key: 'general.type', value: { type: 'string', value: 'imatrix' } }] as const;
  const tensors = [{ name: 'blk.0.attn_q.weight.in_sum2', shape: [33], type: 'F32' }] as const;
  const layout = layoutGguf({ metadata, tensors });
  const bytes = new Uint8Array(layout.fileBytes);
  bytes.set(layout.header);
  bytes.fill(9, layout.dataStart, layout.dataStart + 33 * 4);
  return bytes;
}

export function makeSmallRelease(): { files: Files; lock: LockFile } {
  const outputs = [makeGguf(1, 'Q8_0'), makeGguf(2, 'Q4_0')];
  const files: Files = new Map(outputs.map(({ bytes, output }) => [output.file, bytes]));
  const others: [string, Uint8Array][] = [
    ['.gitattributes', encoded('*.gguf filter=lfs\n')],
    ['LICENSE', encoded('Do as you like.\n')],
    ['README.md', encoded('# Small\n')],
    ['Small-imatrix.gguf', makeMatrix()],
    ['calibration/MANIFEST.json', encoded('{}\n')],
    ['calibration/text.txt', encoded('Some words.\n')],
  ];
  for (const [file, bytes] of others) files.set(file, bytes);
  const page = encoded('# Rebuild Small\n');
  files.set('REPRODUCE.md', page);
  const listed = others.map(([file, bytes]) => digestedFile(file, bytes));
  const matrix = listed.find(({ file }) => file === 'Small-imatrix.gguf');
  const sample = sha256Hex(encoded('sample'));
  const lock = lockFile.parse({
    lock: {
      schema: 1,
      quantd: '0.1.0',
      contracts: {
        rules: 'rules',
        quantizers: sample,
        measuring: { name: 'det-1', selfTest: sample },
      },
      model: { name: 'Small', architecture: 'gemma4', tensors: 2, elements: 101 },
      source: { files: [{ file: 'model.safetensors', bytes: 12, sha256: sample }] },
      wishes: { types: ['Q8_0', 'Q4_0'], name: 'Small' },
      imatrix: { ...matrix, name: 'Small-imatrix.gguf', entries: 1, chunks: 1 },
      outputs: outputs.map(({ output }) => output),
      files: listed,
    },
    run: {
      ...{ seconds: 1, isa: 'avx2', threads: 2, sourceBytes: 12, peers: [], diskBytes: 4096 },
      files: [digestedFile('REPRODUCE.md', page)],
    },
  });
  files.set('SHA256SUMS', encoded(encodeSums([...lock.lock.outputs, ...listed])));
  putLock(files, lock);
  return { files, lock };
}

/** Writes the lockfile, signed by SIGNER. */
export function putLock(files: Files, lock: unknown): void {
  const bytes =
    lock instanceof Uint8Array
      ? lock
      : encoded(encodeLock(lock as Parameters<typeof encodeLock>[0]));
  const base64 = (raw: Uint8Array): string => Buffer.from(raw).toString('base64');
  const signature = {
    algorithm: 'ed25519',
    peer: SIGNER,
    publicKey: base64(identity.publicKey),
    signature: base64(identity.sign(bytes)),
  };
  files.set(LOCK_FILE, bytes);
  files.set(SIGNATURE_FILE, encoded(`${JSON.stringify(signature, undefined, 1)}\n`));
}

/** @param named as if this file had been named */
export function memoryFolder(files: Files, named?: string): ReleaseFolder {
  return {
    path: '/release',
    ...(named === undefined ? {} : { named }),
    list: async () =>
      [...files.keys()].sort().map((file) => ({ file, bytes: files.get(file)?.length ?? 0 })),
    open: async (file) => {
      const bytes = files.get(file);
      if (bytes === undefined) throw new FaultError(folderFaults.missing, { file });
      return {
        bytes: bytes.length,
        read: async (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
        hash: async (offset, pieces, chain) => {
          const begins = chain === undefined ? offset : 0;
          let at = offset;
          const digests = pieces.map((length) => {
            at += length;
            return sha256(bytes.subarray(at - length, at));
          });
          const digest = createHash('sha256').update(bytes.subarray(begins, at)).digest();
          return { pieces: digests, digest: new Uint8Array(digest), chain: new Uint8Array(1) };
        },
        close: async () => undefined,
      };
    },
  };
}
