/**
 * Hub repository: the files of one repository at one commit, listed, and read by byte ranges.
 *
 *   org/name, revision ──▶ openHubRepository ──▶ HubRepository: commit, files, read
 *
 * The library asks the hub's API (which commit a revision is, the list of files). Ranges are asked
 * for here, because a connection that breaks half-way must not lose what has arrived, and because
 * every answer is compared with what was asked. Nothing is kept: whoever knows the commit and the
 * file's entry can read its ranges on another machine. Read next: hub-source.ts, docs/hub.md.
 */

import { FaultError } from '../../proto/fault.ts';
import { letGo, partsOf } from './hub-body.ts';
import { hubFaults } from './hub-faults.ts';
import { Passing } from './hub-replies.ts';
import { type HubReply, type HubTransport, Silence } from './hub-transport.ts';

export interface HubFile {
  /** Path from the repository's top, with `/`; checked to stay inside it. */
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 of its bytes, lower-case hex; of files that the repository keeps by LFS. */
  readonly sha256?: string;
  /** Of the others: SHA-1 of `blob <bytes>`, a zero byte and its bytes, as git names it. */
  readonly blob?: string;
}

export interface HubRange {
  readonly offset: number;
  readonly bytes: number;
}

/** Takes what arrives, in order, from the range's beginning; what it was given is then free again. */
export type Sink = (bytes: Uint8Array) => Promise<void> | void;

// The same as of a directory.
const FILES_MAX = 10_000;
const DEPTH_MAX = 8;
const SEGMENT = /^[^/\\\p{Cc}]{1,255}$/u;
const COMMIT = /^[0-9a-f]{40}$/;
const SHA256 = /^[0-9a-f]{64}$/;
// Signed addresses of the hub's storage are good for an hour.
const LOCATION_MS_MAX = 1_200_000;

/**
 * Asks which commit the revision is, and what it holds.
 * @param revision branch, tag or commit; undefined means `main`
 * @throws FaultError QD-25xx
 */
export async function openHubRepository(
  transport: HubTransport,
  revision: string | undefined,
  signal?: AbortSignal,
): Promise<HubRepository> {
  const { listFiles, modelInfo } = await import('@huggingface/hub');
  const { hubUrl, repository } = transport;
  // The library passes no signal on.
  const fetch: typeof globalThis.fetch = (input, init) =>
    transport.fetch(input, signal === undefined ? init : { ...init, signal });
  const commit = await understood(async () => {
    const info = await modelInfo({
      name: repository,
      revision: revision ?? 'main',
      additionalFields: ['sha'],
      hubUrl,
      fetch,
    });
    return String(info.sha);
  });
  if (!COMMIT.test(commit)) {
    throw new FaultError(hubFaults.unexpectedReply, {
      why: 'no commit stands behind the revision',
    });
  }
  const files = new Map<string, HubFile>();
  await understood(async () => {
    const repo = { type: 'model', name: repository } as const;
    for await (const entry of listFiles({
      repo,
      revision: commit,
      recursive: true,
      hubUrl,
      fetch,
    })) {
      if (entry.type !== 'file') continue;
      const file = fileOf(entry);
      files.set(file.file, file);
      if (files.size > FILES_MAX) throw badListing(repository, `more than ${FILES_MAX} files`);
    }
  });
  return new HubRepository(transport, commit, files);
}

interface TreeEntry {
  readonly path: string;
  readonly size: number;
  readonly oid?: string;
  readonly lfs?: { readonly oid: string; readonly size: number };
}

function fileOf({ path, size, oid, lfs }: TreeEntry): HubFile {
  const segments = typeof path === 'string' ? path.split('/') : [''];
  const isInside = segments.every((segment) => SEGMENT.test(segment) && segment !== '..');
  if (!isInside || segments.length > DEPTH_MAX) {
    throw badListing(String(JSON.stringify(path)).slice(0, 200), 'no path inside the repository');
  }
  if (!Number.isSafeInteger(size) || size < 0 || (lfs !== undefined && lfs.size !== size)) {
    throw badListing(path, `size ${size}, by LFS ${lfs?.size}`);
  }
  if (lfs !== undefined) {
    if (SHA256.test(lfs.oid)) return { file: path, bytes: size, sha256: lfs.oid };
    throw badListing(path, 'its LFS entry names no SHA-256');
  }
  if (oid !== undefined && COMMIT.test(oid)) return { file: path, bytes: size, blob: oid };
  throw badListing(path, 'it has no digest');
}

function badListing(file: string, why: string): FaultError {
  return new FaultError(hubFaults.badListing, { file, why });
}

/** What the library cannot make sense of is the hub's doing; faults pass unchanged. */
async function understood<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    const why = error.message.slice(0, 300);
    throw new FaultError(hubFaults.unexpectedReply, { why }, { cause: error });
  }
}

/** What the storage behind the hub said of a file, to be said again by every later answer. */
interface Said {
  readonly etag: string | undefined;
  readonly location: string;
  readonly untilMs: number;
}

export class HubRepository {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
  readonly #transport: HubTransport;
  readonly #said = new Map<string, Said>();

  constructor(transport: HubTransport, commit: string, files: ReadonlyMap<string, HubFile>) {
    this.#transport = transport;
    this.commit = commit;
    this.files = files;
  }

  get repository(): string {
    return this.#transport.repository;
  }

  get hubUrl(): string {
    return this.#transport.hubUrl;
  }

  /** @throws FaultError QD-2515 */
  file(file: string): HubFile {
    const found = this.files.get(file);
    if (found === undefined) throw new FaultError(hubFaults.fileMissing, { file });
    return found;
  }

  /**
   * Gives the range to `sink`, over as many connections as it takes.
   * @throws FaultError where the hub sends anything else, or nothing for too long
   */
  async read(
    file: HubFile,
    { offset, bytes }: HubRange,
    sink: Sink,
    signal?: AbortSignal,
  ): Promise<void> {
    let done = 0;
    if (bytes === 0) return;
    await this.#transport.persist(async (furthered) => {
      const left = { offset: offset + done, bytes: bytes - done };
      await this.#readOnce(file, left, signal, async (part) => {
        await sink(part);
        done += part.length;
        furthered();
      });
    }, signal);
  }

  async #readOnce(
    file: HubFile,
    range: HubRange,
    signal: AbortSignal | undefined,
    sink: Sink,
  ): Promise<void> {
    const silence = new Silence(signal);
    try {
      const body = await this.#open(file, range, silence.signal);
      let left = range.bytes;
      for await (const part of body) {
        silence.broken();
        if (part.length > left) throw wrongLength(file, range, `more than ${range.bytes}`);
        await sink(part);
        left -= part.length;
      }
      if (left > 0) {
        const fault = wrongLength(file, range, `${range.bytes - left}`);
        throw new Passing(fault);
      }
    } finally {
      silence.end();
    }
  }

  /** The body of an answer that is what was asked for. */
  async #open(
    file: HubFile,
    range: HubRange,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const said = this.#said.get(file.file);
    const isKnown = said !== undefined && performance.now() < said.untilMs;
    const last = range.offset + range.bytes - 1;
    try {
      const reply = await this.#transport.request(isKnown ? said.location : this.#url(file), {
        headers: { range: `bytes=${range.offset}-${last}`, 'accept-encoding': 'identity' },
        signal,
        file: file.file,
      });
      try {
        this.#check(file, range, reply);
      } catch (error) {
        await letGo(reply.response, signal);
        throw error;
      }
      return partsOf(reply.response, signal);
    } catch (error) {
      // An address that has run out is asked for anew; what was right about the file stays so.
      if (isKnown && error instanceof Passing) this.#said.set(file.file, { ...said, untilMs: 0 });
      throw error;
    }
  }

  #url({ file }: HubFile): string {
    const path = file.split('/').map(encodeURIComponent).join('/');
    return `${this.hubUrl}/${this.repository}/resolve/${this.commit}/${path}`;
  }

  #check(file: HubFile, range: HubRange, { response, headers, url }: HubReply): void {
    checkRange(file, range, response);
    const commit = headerOf(headers, 'x-repo-commit');
    if (commit !== undefined && commit !== this.commit) {
      const why = `commit ${commit}, where ${this.commit} was asked for`;
      throw new FaultError(hubFaults.changed, { file: file.file, why });
    }
    // The hub's own etag of a file kept by LFS is its SHA-256; that of the storage is anything.
    const linked = bare(headerOf(headers, 'x-linked-etag'));
    if (linked !== undefined && file.sha256 !== undefined && linked !== file.sha256) {
      const why = `SHA-256 ${linked}, where the list says ${file.sha256}`;
      throw new FaultError(hubFaults.changed, { file: file.file, why });
    }
    const etag = bare(headers[0]?.get('etag') ?? undefined);
    const before = this.#said.get(file.file);
    if (before?.etag !== undefined && etag !== before.etag) {
      const why = `etag ${etag ?? 'none'}, where it was ${before.etag}`;
      throw new FaultError(hubFaults.changed, { file: file.file, why });
    }
    if (before === undefined || before.untilMs <= performance.now()) {
      const untilMs = performance.now() + LOCATION_MS_MAX;
      this.#said.set(file.file, { etag, location: url, untilMs });
    }
  }
}

/** Fills `into` with bytes of a file. */
export async function readInto(
  repository: HubRepository,
  file: HubFile,
  offset: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  let at = 0;
  const take = (part: Uint8Array): void => {
    into.set(part, at);
    at += part.length;
  };
  await repository.read(file, { offset, bytes: into.length }, take, signal);
}

function checkRange(file: HubFile, range: HubRange, response: Response): void {
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  const isWhole = range.offset === 0 && range.bytes === file.bytes;
  // Who ignores the range of a whole file sends what was wanted, in whatever encoding.
  if (response.status === 200 && isWhole) return;
  if (encoding !== 'identity') {
    throw new FaultError(hubFaults.encoded, { file: file.file, why: encoding.slice(0, 40) });
  }
  const last = range.offset + range.bytes - 1;
  const wanted = `bytes ${range.offset}-${last}/${file.bytes}`;
  const sent = response.headers.get('content-range') ?? 'no range';
  if (response.status !== 206 || sent !== wanted) {
    const why = `${wanted} were wanted, status ${response.status} with ${sent.slice(0, 100)} came`;
    throw new FaultError(hubFaults.wrongRange, { file: file.file, why });
  }
  const length = response.headers.get('content-length');
  if (length !== null && length !== String(range.bytes)) {
    throw wrongLength(file, range, length.slice(0, 40));
  }
}

function wrongLength({ file }: HubFile, { offset, bytes }: HubRange, came: string): FaultError {
  const why = `${bytes} bytes were wanted, ${came} came`;
  return new FaultError(hubFaults.wrongLength, { file, byte: offset, why });
}

function headerOf(all: readonly Headers[], name: string): string | undefined {
  return all.map((headers) => headers.get(name)).find((value) => value !== null) ?? undefined;
}

/** Without the marks of an etag. */
function bare(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '').replaceAll('"', '');
}
