/**
 * Hub source: a repository of a hub as a checkpoint, or the files of one GGUF in it.
 *
 *   org/name@revision ──▶ openHubSource ──▶ Source (ports.ts) at one commit
 *
 * Small files are fetched whole and compared with their digest before a byte of them is used. Of
 * tensor files the leaves that are read (their headers) are fetched one by one; when the plan is
 * made, `fetch` brings the rest of those that are wanted, and compares each with its digest. No
 * byte is fetched twice, whatever comes between. Read next: hub-store.ts, hub-repository.ts.
 */

import { dirname, join } from 'node:path';
import { FaultError } from '../../proto/fault.ts';
import type { HubName } from '../../proto/hub-name.ts';
import { LEAF_BYTES } from '../../proto/peer-messages.ts';
import type { RemoteFiles, Source, SourceEntry } from '../ports.ts';
import { hubFaults } from './hub-faults.ts';
import { type FetchOptions, fetchFiles, fetchRange } from './hub-fetch.ts';
import { type HubFile, type HubRepository, readInto } from './hub-repository.ts';
import type { HubStore } from './hub-store.ts';
import { isPartOf, openSourceDirectory, type SourceDirectoryOptions } from './source-directory.ts';

// Of these only what is read is fetched before the plan stands; all others are small.
const TENSOR_FILE = /\.(safetensors|gguf)$/;

export interface HubSourceOptions extends SourceDirectoryOptions {
  readonly name: HubName;
  /** What is fetched stays for the next run. */
  readonly keep: boolean;
}

/**
 * @param store of the repository's commit; closed with the source
 * @throws FaultError QD-2515 where the named file is not there
 */
export function openHubSource(
  repository: HubRepository,
  store: HubStore,
  options: HubSourceOptions,
): Source {
  const { file } = options.name;
  if (file === undefined) {
    const files = [...repository.files].filter(([path]) => !isHidden(path));
    return new HubSource(repository, store, new Map(files), options);
  }
  repository.file(file);
  const parts = [...repository.files].filter(
    ([other]) => other === file || (dirname(other) === dirname(file) && isPartOf(other, file)),
  );
  return new HubSource(repository, store, new Map(parts), options);
}

/** .gitattributes and the like belong to the tools that keep a repository. */
function isHidden(file: string): boolean {
  return file.split('/').some((segment) => segment.startsWith('.'));
}

class HubSource implements Source {
  readonly named?: string;
  readonly remote: RemoteFiles;
  readonly #repository: HubRepository;
  readonly #store: HubStore;
  readonly #files: ReadonlyMap<string, HubFile>;
  readonly #options: HubSourceOptions;
  /** Of the files that are here as a whole; opened anew when there are more of them. */
  #local: Promise<Source> | undefined;
  /** Those before it, which someone may still be reading from. */
  readonly #before: Promise<Source>[] = [];
  #isClosed = false;
  readonly #verified = new Set<HubFile>();
  #last: Promise<void> = Promise.resolve();

  constructor(
    repository: HubRepository,
    store: HubStore,
    files: ReadonlyMap<string, HubFile>,
    options: HubSourceOptions,
  ) {
    if (options.name.file !== undefined) this.named = options.name.file;
    this.#repository = repository;
    this.#store = store;
    this.#files = files;
    this.#options = options;
    this.remote = {
      repository: repository.repository,
      commit: repository.commit,
      hubUrl: repository.hubUrl,
      missingBytes: (wanted) => this.#inTurn(() => this.#missingBytes(wanted)),
      fetch: (wanted, onBytes, signal) => {
        const files = wanted.map((name) => this.#file(name));
        return this.#bring(files, { onBytes, signal });
      },
      read: (file, offset, into, signal) => this.#readRange(file, offset, into, signal),
      forget: (isDry) => this.#forget(isDry),
    };
  }

  async list(): Promise<readonly SourceEntry[]> {
    const entries = [...this.#files.values()].map(({ file, bytes }) => ({ file, bytes }));
    return entries.sort((a, b) => (a.file < b.file ? -1 : 1));
  }

  async read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const entry = this.#file(file);
    if (offset + into.length > entry.bytes) {
      const why = `it has ${entry.bytes} bytes, bytes up to ${offset + into.length} were wanted`;
      throw new FaultError(hubFaults.wrongLength, { file, why });
    }
    const isSure = this.#verified.has(entry);
    if (!isSure && TENSOR_FILE.test(file) && !(await this.#store.isWhole(entry))) {
      await this.#inTurn(() => this.#readLeaves(entry, offset, into, signal));
      return;
    }
    if (!isSure) await this.#bring([entry], { onBytes: () => undefined, signal });
    await (await this.#whole()).read(file, offset, into, signal);
  }

  /** Without keeping what is not kept already. */
  async #readRange(
    file: string,
    offset: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const entry = this.#file(file);
    if (await this.#store.isWhole(entry)) {
      await (await this.#whole()).read(file, offset, into, signal);
      return;
    }
    const first = Math.floor(offset / LEAF_BYTES);
    const last = Math.ceil((offset + into.length) / LEAF_BYTES) - 1;
    const isKept = await this.#inTurn(async () => {
      let isHere = true;
      for (let leaf = first; isHere && leaf <= last; leaf++) {
        isHere = await this.#store.hasLeaf(entry, leaf);
      }
      if (isHere) await this.#store.readPart(entry, offset, into);
      await this.#store.release(entry);
      return isHere;
    });
    if (!isKept) await readInto(this.#repository, entry, offset, into, signal);
  }

  path(file: string): string {
    return join(this.#store.filesDirectory, file);
  }

  async digest(file: string, signal?: AbortSignal): Promise<string> {
    const entry = this.#file(file);
    if (entry.sha256 !== undefined) return entry.sha256;
    await this.#bring([entry], { onBytes: () => undefined, signal });
    return (await this.#whole()).digest(file, signal);
  }

  async checkUnchanged(): Promise<void> {
    await (await this.#whole()).checkUnchanged();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#closeLocal();
    await this.#store.close();
  }

  #file(file: string): HubFile {
    const found = this.#files.get(file);
    if (found === undefined) throw new FaultError(hubFaults.fileMissing, { file });
    return found;
  }

  #whole(): Promise<Source> {
    this.#local ??= openSourceDirectory(this.#store.filesDirectory, this.#options);
    return this.#local;
  }

  async #closeLocal(): Promise<void> {
    this.#retireLocal();
    for (const opened of await Promise.allSettled(this.#before.splice(0))) {
      if (opened.status === 'fulfilled') await opened.value.close();
    }
  }

  #retireLocal(): void {
    if (this.#local !== undefined) this.#before.push(this.#local);
    this.#local = undefined;
  }

  /** Of a tensor file that is not here as a whole: fetches the leaves that are wanted and keeps them. */
  async #readLeaves(
    file: HubFile,
    offset: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const first = Math.floor(offset / LEAF_BYTES);
    const end = Math.ceil((offset + into.length) / LEAF_BYTES);
    try {
      for (let leaf = first; leaf < end; leaf++) {
        if (await this.#store.hasLeaf(file, leaf)) continue;
        const start = leaf * LEAF_BYTES;
        const range = { offset: start, bytes: Math.min(LEAF_BYTES, file.bytes - start) };
        const options = { onBytes: () => undefined, signal };
        await fetchRange(this.#repository, this.#store, file, range, options);
      }
      await this.#store.readPart(file, offset, into);
    } finally {
      await this.#store.release(file);
    }
  }

  async #missingBytes(wanted: readonly string[]): Promise<number> {
    let bytes = 0;
    for (const file of wanted.map((name) => this.#file(name))) {
      const ranges = await this.#store.missing(file, LEAF_BYTES);
      bytes += ranges.reduce((sum, range) => sum + range.bytes, 0);
      await this.#store.release(file);
    }
    return bytes;
  }

  /** Makes sure that the files are here as the repository says they are. */
  async #bring(files: readonly HubFile[], options: FetchOptions): Promise<void> {
    await this.#inTurn(async () => {
      const unsure = files.filter((file) => !this.#verified.has(file));
      if (unsure.length === 0) return;
      for (const file of unsure) await this.#checkKept(file, options.signal);
      await this.#store.checkRoom(await this.#missingBytes(unsure.map(({ file }) => file)));
      await fetchFiles(this.#repository, this.#store, unsure, options);
      for (const file of unsure) this.#verified.add(file);
      this.#retireLocal();
    });
  }

  /** A file of an earlier run: read again where it has been touched since it was verified. */
  async #checkKept(file: HubFile, signal: AbortSignal | undefined): Promise<void> {
    if (!(await this.#store.isWhole(file))) return;
    if (file.sha256 === undefined) {
      await this.#store.verify(file, this.path(file.file), signal);
      return;
    }
    const found = await (await this.#whole()).digest(file.file, signal);
    if (found !== file.sha256) throw await this.#store.refuse(file, found);
  }

  /** One after the other: what one fetches, the next finds. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = this.#last.then(work);
    this.#last = next.then(
      () => undefined,
      () => undefined,
    );
    return next;
  }

  async #forget(isDry: boolean): Promise<void> {
    if (this.#options.keep || (isDry && !this.#store.isNew)) return;
    this.#isClosed = true;
    await this.#closeLocal();
    await this.#store.drop();
  }
}
