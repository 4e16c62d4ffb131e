/**
 * Leaf store: source bytes that this machine keeps for the runs of others.
 *
 *   DIR/<run>/<key>      one file a piece, whole or (after a crash) torn
 *
 * Nothing here is worth a sync: whoever reads compares digests, and what is torn is pulled again.
 * What was kept for a run goes when the run is sealed; what is left over goes when room is needed,
 * the run that was used longest ago first.
 */

import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../proto/assert.ts';
import { exitCodes, FaultError, type FaultKind } from '../../proto/fault.ts';
import type { LeafStore, OfferedDisk } from '../ports.ts';

export const leafStoreFaults = {
  full: {
    code: 'QD-8302',
    exit: exitCodes.environment,
    what: 'the disk that this machine offers to others is full',
    hint: 'free some space, or offer more of it: quantd up --disk 200GiB',
  },
} as const satisfies Record<string, FaultKind>;

interface KeptRun {
  bytes: number;
  usedMs: number;
}

// Ids and keys are digests of ours; nothing else may become part of a path.
const NAME = /^[0-9a-f]{32,64}$/;

export class DiskLeafStore implements LeafStore, OfferedDisk {
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #runs = new Map<string, KeptRun>();
  #temporary = 0;
  #reservedBytes = 0;

  private constructor(directory: string, bytesMax: number) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
  }

  /** Opens what an earlier process left in `directory`, which is made if needed. */
  static async open(directory: string, bytesMax: number): Promise<DiskLeafStore> {
    const store = new DiskLeafStore(directory, bytesMax);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const run of await readdir(directory)) {
      const path = join(directory, run);
      if (!NAME.test(run)) {
        await rm(path, { recursive: true, force: true });
        continue;
      }
      store.#runs.set(run, await measure(path));
    }
    return store;
  }

  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.#runs.values()) sum += bytes;
    return sum;
  }

  async read(run: string, key: string, into: Uint8Array): Promise<boolean> {
    return (await sizeOf(this.#path(run, key))) === into.length && this.readPart(run, key, 0, into);
  }

  async readPart(run: string, key: string, offset: number, into: Uint8Array): Promise<boolean> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(this.#path(run, key), 'r');
    } catch {
      return false;
    }
    try {
      for (let at = 0; at < into.length; ) {
        const { bytesRead } = await file.read(into, at, into.length - at, offset + at);
        if (bytesRead === 0) return false;
        at += bytesRead;
      }
      return true;
    } finally {
      await file.close();
    }
  }

  async put(run: string, key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(run, key);
    await this.#demandRoom(run, bytes.length);
    const kept = this.#runs.get(run) ?? { bytes: 0, usedMs: 0 };
    kept.usedMs = Date.now();
    this.#runs.set(run, kept);
    // Counted before it is written, so that two at a time do not both fit into the same room.
    kept.bytes += bytes.length;
    const partial = `${path}.${this.#temporary++}.part`;
    try {
      await mkdir(join(this.#directory, run), { recursive: true, mode: 0o700 });
      const before = await sizeOf(path);
      await writeFile(partial, bytes);
      await rename(partial, path);
      kept.bytes -= before;
    } catch (error) {
      kept.bytes -= bytes.length;
      await rm(partial, { force: true });
      const why = error instanceof Error ? error.message : String(error);
      throw new FaultError(leafStoreFaults.full, { why }, { cause: error });
    }
  }

  path(run: string, key: string): string {
    return this.#path(run, key);
  }

  async remove(run: string, key: string): Promise<void> {
    const path = this.#path(run, key);
    const bytes = await sizeOf(path);
    await rm(path, { force: true });
    const kept = this.#runs.get(run);
    if (kept !== undefined) kept.bytes -= bytes;
  }

  async drop(run: string): Promise<void> {
    this.#runs.delete(run);
    await rm(this.#path(run), { recursive: true, force: true });
  }

  reserve(bytes: number): void {
    this.#reservedBytes += bytes;
  }

  /** Drops runs other than `run`, those used longest ago first, until so many bytes fit. */
  async makeRoom(run: string, bytes: number): Promise<boolean> {
    const fits = (): boolean => this.bytes + this.#reservedBytes + bytes <= this.#bytesMax;
    const others = [...this.#runs].filter(([other]) => other !== run);
    others.sort(([, a], [, b]) => a.usedMs - b.usedMs);
    for (const [other] of others) {
      if (fits()) return true;
      await this.drop(other);
    }
    return fits();
  }

  async #demandRoom(run: string, bytes: number): Promise<void> {
    if (await this.makeRoom(run, bytes)) return;
    throw new FaultError(leafStoreFaults.full, {
      why: `${this.#bytesMax} bytes are offered and ${this.bytes + this.#reservedBytes} of them taken`,
    });
  }

  #path(run: string, ...key: string[]): string {
    for (const name of [run, ...key]) assert(NAME.test(name), `${name} is no name of the store`);
    return join(this.#directory, run, ...key);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

/** What a run has on disk; a file that a crash left half-written is removed. */
async function measure(directory: string): Promise<KeptRun> {
  const { mtimeMs } = await stat(directory);
  let bytes = 0;
  for (const file of await readdir(directory)) {
    const path = join(directory, file);
    if (NAME.test(file)) bytes += await sizeOf(path);
    else await rm(path, { recursive: true, force: true });
  }
  return { bytes, usedMs: mtimeMs };
}
