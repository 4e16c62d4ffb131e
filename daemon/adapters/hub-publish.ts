/**
 * Hub publish: a repository of a hub that files are sent to, in one commit.
 *
 *   org/name, access ──▶ openPublishTarget ──▶ PublishTarget (publish-port.ts)
 *
 * The library makes the repository, asks which files go to the storage (LFS), sends those that it
 * lacks and makes the commit; its requests pass through hub-transport.ts, which tries again, and
 * gives the token to the hub alone.
 */

import { FaultError } from '../../proto/fault.ts';
import { parseHubName } from '../../proto/hub-name.ts';
import type { HubAccess } from '../../proto/requests.ts';
import type { PublishedFile, PublishedState, PublishTarget, SentFile } from '../ports.ts';
import { blobName } from './blob-name.ts';
import { DiskBlob } from './disk-blob.ts';
import { hubFaults } from './hub-faults.ts';
import { openHubRepository } from './hub-repository.ts';
import type { HubTransport } from './hub-transport.ts';
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
    const content = blobOf(sent, signal);
    return (await blobName(sent.bytes, content.stream())) === listed.blob;
  }

  async send(
    files: readonly SentFile[],
    { title, onBytes, signal }: SendOptions,
  ): Promise<{ commit: string; url: string }> {
    const { uploadFiles } = await import('@huggingface/hub');
    const made = await this.#asked(() =>
      uploadFiles({
        repo: this.#repo,
        files: files.map((sent) => ({ path: sent.file, content: blobOf(sent, signal) })),
        commitTitle: title,
        hubUrl: this.hubUrl,
        fetch: (input, init) => this.#transport.upload(input, init, onBytes),
        abortSignal: signal,
        // Its chunk protocol needs a program in WebAssembly; the storage takes whole files as well.
        useXet: false,
      }),
    );
    if (made === undefined) throw new FaultError(hubFaults.unexpectedReply, { why: 'no commit' });
    return { commit: made.commit.oid, url: made.commit.url };
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
