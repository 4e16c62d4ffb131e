/**
 * Digested folder: files of a release as they are written, with what a lockfile says of each.
 *
 *   name, content ──▶ put ──▶ FolderFiles, and { file, bytes, sha256 }
 */

import type { PureLock } from '../../proto/lockfile.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { FolderFiles, Kernels } from '../ports.ts';

type Digested = PureLock['files'][number];

/** Remembers what it wrote, in the order of the names. */
export class DigestedFolder {
  readonly raw: FolderFiles;
  readonly #kernels: Pick<Kernels, 'sha256'>;
  readonly #files = new Map<string, Digested>();

  constructor(folder: FolderFiles, kernels: Pick<Kernels, 'sha256'>) {
    this.raw = folder;
    this.#kernels = kernels;
  }

  get files(): Digested[] {
    return [...this.#files.values()].sort((a, b) => (a.file < b.file ? -1 : 1));
  }

  async put(file: string, content: string | Uint8Array): Promise<string> {
    const bytes = typeof content === 'string' ? encoded(content) : content;
    const sha256 = hex(await this.#kernels.sha256(bytes));
    await this.raw.write(file, bytes);
    this.#files.set(file, { file, bytes: bytes.length, sha256 });
    return sha256;
  }
}

export function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
