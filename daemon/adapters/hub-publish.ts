/**
 * Hub publish: a repository of a hub that files are sent to, in one commit.
 *
 *   org/name, access ──▶ openPublishTarget ──▶ PublishTarget (publish-port.ts)
 *
 * The library makes the repository, asks which files go to the storage (LFS), sends those that it
 * lacks and makes the commit; its requests pass through hub-transport.ts, which tries again, and
 * gives the token to the hub alone. Files of other machines go to the storage by large-upload.ts, and
 * into the same commit.
 */

import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import { parseHubName } from '../../proto/hub-name.ts';
import type { HubAccess } from '../../proto/requests.ts';
import type { PublishedFile, PublishedState, PublishTarget, SentFile } from '../ports.ts';
import { blobName } from './blob-name.ts';
import { DiskBlob } from './disk-blob.ts';
import { hubFaults } from './hub-faults.ts';
import { openHubRepository } from './hub-repository.ts';
import type { HubTransport } from './hub-transport.ts';
import { uploadLarge } from './large-upload.ts';
import { transportOf } from './open-hub.ts';

type SendOptions = Parameters<PublishTarget['send']>[1];

// The library wants to see a token where one is needed; the transport puts the real one, or none.
const TOKEN_PLACE = 'hf_';

/** @throws FaultError QD-2501, QD-2517, QD-2518 */
export function openPublishTarget(repository: string, access: HubAccess): PublishTarget {
  const name = parseHubName(repository);
  if (name === undefined || name.revision !== undefined || name.file !== undefined) {
    throw new FaultError(hubFaults.badName, {
      why: JSON.stringify(repository),
      hint: 'write --repo org/name',
    });
  }
  return new HubTarget(transportOf(name.repository, access));
}

class HubTarget implements PublishTarget {
  readonly #transport: HubTransport;

  constructor(transport: HubTransport) {
    this.#transport = transport;
  }

  get hubUrl(): string {
    return this.#transport.hubUrl;
  }

  async list(signal: AbortSignal): Promise<PublishedState | undefined> {
    try {
      return await openHubRepository(this.#transport, undefined, signal);
    } catch (error) {
      const isMissing = error instanceof FaultError && error.kind === hubFaults.repositoryMissing;
      if (isMissing) return undefined;
      throw error;
    }
  }

  async create(isPrivate: boolean): Promise<void> {
    const { createRepo } = await import('@huggingface/hub');
    await this.#asked(() =>
      createRepo({
        repo: this.#repo,
        ...(isPrivate ? { visibility: 'private' } : {}),
        accessToken: TOKEN_PLACE,
        hubUrl: this.hubUrl,
        fetch: this.#transport.fetch,
      }),
    );
  }

  async isSame(listed: PublishedFile, sent: SentFile, signal: AbortSignal): Promise<boolean> {
    if (listed.bytes !== sent.bytes) return false;
    if (listed.sha256 !== undefined) return listed.sha256 === sent.sha256;
    // What another machine has goes to the storage, and is not read for git's name of it.
    if (sent.machine !== undefined) return false;
    const content = blobOf(sent, signal);
    return (await blobName(sent.bytes, content.stream())) === listed.blob;
  }

  async send(
    files: readonly SentFile[],
    { title, onBytes, signal }: SendOptions,
  ): Promise<{ commit: string; url: string }> {
    const { uploadFiles } = await import('@huggingface/hub');
    const far = files.filter(({ machine }) => machine !== undefined);
    const near = files.filter(({ machine }) => machine === undefined);
    if (far.length > 0) await uploadLarge(far, { transport: this.#transport, onBytes, signal });
    const made = await this.#asked(() =>
      uploadFiles({
        repo: this.#repo,
        files: near.map((sent) => ({ path: sent.file, content: blobOf(sent, signal) })),
        commitTitle: title,
        hubUrl: this.hubUrl,
        fetch: (input, init) =>
          this.#transport.upload(input, this.#joined(input, init, far), onBytes),
        abortSignal: signal,
        // Its chunk protocol needs a program in WebAssembly; the storage takes whole files as well.
        useXet: false,
      }),
    );
    if (made === undefined) throw new FaultError(hubFaults.unexpectedReply, { why: 'no commit' });
    return { commit: made.commit.oid, url: made.commit.url };
  }

  /** The request; where it is the commit, with the files that are in the storage already. */
  #joined(
    input: Parameters<typeof fetch>[0],
    init: RequestInit | undefined,
    far: readonly SentFile[],
  ): RequestInit | undefined {
    const commit = `${this.hubUrl}/api/models/${this.#transport.repository}/commit/`;
    if (far.length === 0 || !String(input).startsWith(commit)) return init;
    assert(typeof init?.body === 'string', 'a commit is made of lines');
    const lines = far.map(({ file, bytes, sha256 }) => {
      const value = { path: file, algo: 'sha256', size: bytes, oid: sha256 };
      return JSON.stringify({ key: 'lfsFile', value });
    });
    return { ...init, body: [init.body, ...lines].join('\n') };
  }

  get #repo(): { type: 'model'; name: string } {
    return { type: 'model', name: this.#transport.repository };
  }

  /** What the library cannot make sense of is the hub's doing; faults and aborts pass unchanged. */
  async #asked<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Error) || error instanceof FaultError) throw error;
      if (error.name === 'AbortError') throw error;
      const why = error.message.slice(0, 300);
      throw new FaultError(hubFaults.unexpectedReply, { why }, { cause: error });
    }
  }
}

function blobOf({ bytes, read }: SentFile, signal: AbortSignal): DiskBlob {
  return new DiskBlob((at, into) => read(at, into, signal), [0, bytes]);
}
