/**
 * Cluster store: the key of this machine and what it knows of its cluster, in the data directory.
 *
 *   identity    32 bytes, the seed of its Ed25519 key; made once
 *   cluster     JSON, see proto/cluster-file.ts
 *   peer-port   the port it listened on last, so that its address stays the same
 *
 * All are for their owner's eyes alone, and replaced as a whole: a crash leaves the old or the new.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FaultError, type FaultKind } from '../../proto/fault.ts';
import type { ClusterStore, Identity } from '../ports.ts';
import { clusterStoreFaults } from './cluster-store-faults.ts';
import { identityOf, SEED_BYTES } from './cryptography.ts';
import { replaceFile, syncDirectory } from './whole-file.ts';

// Records of thousands of members; what is longer was not written by us.
const CLUSTER_BYTES_MAX = 32 * 1024 * 1024;
const PORT_CHARACTERS_MAX = 16;

/** The key of this machine; a new one where there is none. */
export async function loadIdentity(directory: string): Promise<Identity> {
  const path = join(directory, 'identity');
  const seed = await readAtMost(path, SEED_BYTES, clusterStoreFaults.badIdentity);
  if (seed !== undefined && seed.length !== SEED_BYTES) {
    const why = `it has ${seed.length} bytes instead of ${SEED_BYTES}`;
    throw new FaultError(clusterStoreFaults.badIdentity, { file: path, why });
  }
  if (seed !== undefined) return identityOf(seed);
  const made = randomBytes(SEED_BYTES);
  await keep(path, made);
  return identityOf(made);
}

export function openClusterStore(directory: string): ClusterStore {
  const path = join(directory, 'cluster');
  return {
    read: async () => {
      const bytes = await readAtMost(path, CLUSTER_BYTES_MAX, clusterStoreFaults.notReadable);
      if (bytes === undefined) return undefined;
      try {
        return JSON.parse(bytes.toString('utf8')) as unknown;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new FaultError(clusterStoreFaults.notReadable, { file: path, why });
      }
    },
    write: (value) => keep(path, Buffer.from(`${JSON.stringify(value, undefined, 1)}\n`)),
    remove: async () => {
      await rm(path, { force: true }).catch((error: unknown) => {
        throw fault(clusterStoreFaults.cannotKeep, path, error);
      });
      await syncDirectory(directory);
    },
  };
}

/** 0 where none is known. */
export async function readPeerPort(directory: string): Promise<number> {
  const path = join(directory, 'peer-port');
  const bytes = await readAtMost(path, PORT_CHARACTERS_MAX, clusterStoreFaults.notReadable).catch(
    () => undefined,
  );
  const text = bytes?.toString('latin1').trim() ?? '';
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port <= 65_535 ? port : 0;
}

export async function writePeerPort(directory: string, port: number): Promise<void> {
  await keep(join(directory, 'peer-port'), Buffer.from(`${port}\n`));
}

async function readAtMost(
  path: string,
  bytesMax: number,
  kind: FaultKind,
): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(path);
    if (size <= bytesMax) return await readFile(path);
    throw new FaultError(kind, { file: path, why: `it has ${size} bytes` });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw fault(kind, path, error);
  }
}

async function keep(path: string, bytes: Uint8Array): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await replaceFile(path, bytes, { mode: 0o600, partial });
  } catch (error) {
    throw fault(clusterStoreFaults.cannotKeep, path, error);
  }
}

function fault(kind: FaultKind, file: string, error: unknown): FaultError {
  if (error instanceof FaultError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new FaultError(kind, { file, why }, { cause: error });
}
