/**
 * Sealed outputs: what lies finished on this machine of the runs of others, read where it lies.
 *
 *   release, id of the output, place ──▶ SealedOutputs ──▶ bytes of the file
 *
 * Nothing has to be opened by a coordinator for it: the journal beside a file tells which output it
 * is. Read next: assembly-holder.ts (who may ask), left-reader.ts (who asks).
 */

import type { BlobName } from '../../proto/blob-names.ts';
import { journalOutput } from '../core/plan/run-journal.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, HeldOutputs, OutputDirectory, OutputFile } from '../ports.ts';
import type { ReleaseFolders } from './release-folders.ts';

export interface SealedOutputsParts {
  readonly outputs: Pick<HeldOutputs, 'list'>;
  readonly folders: Pick<ReleaseFolders, 'open'>;
  readonly clock: Clock;
  readonly sha256: Sha256;
}

type OutputBlob = Extract<BlobName, { kind: 'output' }>;

interface OpenOutput {
  readonly file: OutputFile;
  readonly bytes: number;
  close(): Promise<void>;
}

interface Entry {
  readonly opened: Promise<OpenOutput | undefined>;
  /** Reads under way. */
  users: number;
  usedMs: number;
}

export class SealedOutputs {
  readonly #parts: SealedOutputsParts;
  /** By release and id: one is read block by block, and opening it reads its journal. */
  readonly #open = new Map<string, Entry>();

  constructor(parts: SealedOutputsParts) {
    this.#parts = parts;
  }

  /** Undefined where no such output lies here sealed, or the blob is not inside it. */
  async read(blob: OutputBlob, offset: number, bytes: number): Promise<Uint8Array | undefined> {
    const key = `${blob.run}/${hex(blob.id)}`;
    const entry = this.#open.get(key) ?? this.#begin(key, blob);
    entry.users++;
    try {
      const found = await entry.opened;
      if (found === undefined || blob.offset + blob.bytes > found.bytes) return undefined;
      const into = new Uint8Array(bytes);
      await found.file.read(offset, into);
      return into;
    } finally {
      entry.users--;
      entry.usedMs = this.#parts.clock.now();
    }
  }

  /** Closes what nobody has read for so long. */
  async closeIdle(milliseconds: number): Promise<void> {
    const now = this.#parts.clock.now();
    const idle = [...this.#open].filter(
      ([, { users, usedMs }]) => users === 0 && now - usedMs >= milliseconds,
    );
    for (const [key] of idle) this.#open.delete(key);
    await Promise.all(
      idle.map(async ([, { opened }]) => (await opened.catch(() => undefined))?.close()),
    );
  }

  #begin(key: string, { run, id }: OutputBlob): Entry {
    const forget = (): void => void this.#open.delete(key);
    const opened = this.#find(run, hex(id)).then(
      (found) => {
        // It may come to lie here.
        if (found === undefined) forget();
        return found;
      },
      (error: unknown) => {
        forget();
        throw error;
      },
    );
    const entry = { opened, users: 0, usedMs: this.#parts.clock.now() };
    this.#open.set(key, entry);
    return entry;
  }

  async #find(release: string, id: string): Promise<OpenOutput | undefined> {
    const listed = (await this.#parts.outputs.list()).filter((each) => each.release === release);
    if (listed.length === 0) return undefined;
    const folder = await this.#parts.folders.open(release);
    try {
      for (const { file, bytes } of listed) {
        const found = await this.#openSealed(folder.directory, file, bytes, id);
        if (found === undefined) continue;
        const close = async (): Promise<void> => {
          await found.close();
          await folder.close();
        };
        return { file: found, bytes, close };
      }
    } catch (error) {
      await folder.close();
      throw error;
    }
    await folder.close();
    return undefined;
  }

  async #openSealed(
    directory: OutputDirectory,
    name: string,
    bytes: number,
    id: string,
  ): Promise<OutputFile | undefined> {
    const file = await directory.open(name, bytes, { overwrite: false });
    try {
      if (file.state === 'sealed') {
        const found = journalOutput(this.#parts.sha256, await file.readJournal());
        if (found !== undefined && hex(found) === id) return file;
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    return undefined;
  }
}
