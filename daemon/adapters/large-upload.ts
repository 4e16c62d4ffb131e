/**
 * Large upload: files that lie on other machines, sent to the storage of a hub through this one.
 *
 *   SentFile (machine, SHA-256) ──▶ LFS batch ──▶ PUT, whole or in parts ──▶ in the storage
 *
 * The library would read each file twice, once for its digest. Here that is known beforehand and
 * compared on the way: a file whose bytes have another never gets its last byte to the storage, or is
 * never put together there. Read next: hub-publish.ts (the commit).
 */

import { createHash, type Hash } from 'node:crypto';
import * as z from 'zod';
import { FaultError } from '../../proto/fault.ts';
import type { SentFile } from '../ports.ts';
import { DiskBlob } from './disk-blob.ts';
import { hubFaults } from './hub-faults.ts';
import type { HubTransport } from './hub-transport.ts';

export interface LargeUpload {
  readonly transport: HubTransport;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

// As many as the hub's own programs name at once.
const OBJECTS_MAX = 100;
const LFS_TYPE = 'application/vnd.git-lfs+json';

const batchReply = z.object({
  objects: z.array(
    z.object({
      oid: z.string(),
      error: z.object({ message: z.string() }).nullish(),
      actions: z
        .object({
          upload: z
            .object({ href: z.string(), header: z.record(z.string(), z.coerce.string()).nullish() })
            .nullish(),
        })
        .nullish(),
    }),
  ),
});

type UploadAction = NonNullable<
  NonNullable<z.infer<typeof batchReply>['objects'][number]['actions']>['upload']
>;

/**
 * Resolves when the storage has all of them; what it has already is not read.
 * @throws FaultError otherBytes, what the hub answers, and what reading them throws
 */
export async function uploadLarge(files: readonly SentFile[], upload: LargeUpload): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([upload.signal, stop.signal]);
  // Machines side by side, and of each one file after the other.
  const byMachine = new Map<string | undefined, SentFile[]>();
  for (const file of files) {
    byMachine.set(file.machine, [...(byMachine.get(file.machine) ?? []), file]);
  }
  const actions = await askBatch(files, { ...upload, signal });
  const lane = async (mine: readonly SentFile[]): Promise<void> => {
    for (const file of mine) {
      const action = actions.get(file.sha256);
      if (action !== undefined)
        await new FileUpload(file, { ...upload, signal }, stop).send(action);
    }
  };
  const ended = await Promise.allSettled(
    [...byMachine.values()].map((mine) =>
      lane(mine).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    ),
  );
  upload.signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const failed = ended.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** Where to send each file that the storage has not got, by its digest. */
async function askBatch(
  files: readonly SentFile[],
  { transport, signal }: LargeUpload,
): Promise<Map<string, UploadAction>> {
  const wanted = new Map<string, UploadAction>();
  for (let at = 0; at < files.length; at += OBJECTS_MAX) {
    const asked = files.slice(at, at + OBJECTS_MAX);
    const reply = await transport.fetch(
      `${transport.hubUrl}/${transport.repository}.git/info/lfs/objects/batch`,
      {
        method: 'POST',
        headers: { accept: LFS_TYPE, 'content-type': LFS_TYPE },
        body: JSON.stringify({
          operation: 'upload',
          transfers: ['basic', 'multipart'],
          hash_algo: 'sha_256',
          ref: { name: 'main' },
          objects: asked.map(({ sha256, bytes }) => ({ oid: sha256, size: bytes })),
        }),
        signal,
      },
    );
    const answers = new Map((await objectsOf(reply)).map((object) => [object.oid, object]));
    for (const { file, sha256 } of asked) {
      const answer = answers.get(sha256);
      const why = answer === undefined ? 'the storage does not say' : answer.error?.message;
      if (why !== undefined) throw new FaultError(hubFaults.unexpectedReply, { file, why });
      const action = answer?.actions?.upload;
      if (action) wanted.set(sha256, action);
    }
  }
  return wanted;
}

async function objectsOf(reply: Response): Promise<z.infer<typeof batchReply>['objects']> {
  const parsed = batchReply.safeParse(await reply.json().catch(() => undefined));
  if (parsed.success) return parsed.data.objects;
  const why = 'the answer to what is to be uploaded is malformed';
  throw new FaultError(hubFaults.unexpectedReply, { why });
}

/** One file, from its first byte to its last. */
class FileUpload {
  readonly #file: SentFile;
  readonly #upload: LargeUpload;
  readonly #stop: AbortController;
  /** Of what the storage has. */
  #sent: Hash = createHash('sha256');
  /** Of that and what is on its way. */
  #sending: Hash = this.#sent;
  /** How far that has come. */
  #sendingTo = 0;
  #attempt = 0;

  /** @param stop ended for a reason that another attempt would not change */
  constructor(file: SentFile, upload: LargeUpload, stop: AbortController) {
    this.#file = file;
    this.#upload = upload;
    this.#stop = stop;
  }

  async send({ href, header }: UploadAction): Promise<void> {
    const { chunk_size: chunk, ...rest } = header ?? {};
    if (chunk === undefined) {
      await this.#put(href, 0, this.#file.bytes, rest);
      return;
    }
    const partBytes = Number(chunk);
    const parts = Object.keys(rest).filter((key) => /^\d{1,9}$/.test(key));
    if (!(partBytes >= 1) || parts.length !== Math.ceil(this.#file.bytes / partBytes)) {
      throw this.#unexpected('another number of parts than the file has');
    }
    parts.sort((a, b) => Number(a) - Number(b));
    const done: { partNumber: number; etag: string }[] = [];
    for (const [index, part] of parts.entries()) {
      const from = index * partBytes;
      const to = Math.min(from + partBytes, this.#file.bytes);
      const reply = await this.#put(rest[part] ?? '', from, to, {});
      const etag = reply.headers.get('etag');
      if (etag === null) throw this.#unexpected('a part without a name');
      done.push({ partNumber: Number(part), etag });
    }
    await this.#ask(href, {
      method: 'POST',
      headers: { accept: LFS_TYPE, 'content-type': LFS_TYPE },
      body: JSON.stringify({ oid: this.#file.sha256, parts: done }),
    });
  }

  async #put(
    url: string,
    from: number,
    to: number,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const body = new DiskBlob((at, into) => this.#read(at, into, from), [from, to]);
    const reply = await this.#ask(url, { method: 'PUT', headers, body });
    if (this.#sendingTo !== to) throw this.#unexpected('an answer before all was sent');
    this.#sent = this.#sending;
    return reply;
  }

  #ask(url: string, init: RequestInit): Promise<Response> {
    const { transport, onBytes, signal } = this.#upload;
    if (!URL.canParse(url)) throw this.#unexpected('an address that is none');
    return transport.upload(url, { ...init, signal }, onBytes);
  }

  /** In order from the start of each attempt: a stream asks for nothing twice. */
  async #read(at: number, into: Uint8Array, start: number): Promise<void> {
    const { file, bytes, sha256, machine, read } = this.#file;
    if (at === start) {
      this.#attempt++;
      this.#sending = this.#sent.copy();
    }
    const attempt = this.#attempt;
    // What an attempt that was given up still waited for is of no account.
    const isOver = (): boolean => attempt !== this.#attempt;
    try {
      await read(at, into, this.#upload.signal);
      if (isOver()) return;
      this.#sending.update(into);
      this.#sendingTo = at + into.length;
      if (this.#sendingTo < bytes) return;
      const found = this.#sending.copy().digest('hex');
      if (found === sha256) return;
      const why = `${machine ?? 'this machine'} sends ${found}, the lockfile says ${sha256}`;
      throw new FaultError(hubFaults.otherBytes, { file, why });
    } catch (error) {
      if (!isOver()) this.#stop.abort(error);
      throw error;
    }
  }

  #unexpected(why: string): FaultError {
    return new FaultError(hubFaults.unexpectedReply, { file: this.#file.file, why });
  }
}
