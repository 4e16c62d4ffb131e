/**
 * Uploads: the loopback hub's side of making a repository and of a commit to it.
 *
 *   create, preupload, LFS batch, PUT, commit ──▶ Repository that the hub then serves
 */

import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { refuse, send, sendJson } from './answers.ts';
import { memoryRepository, type Repository } from './repository.ts';

export interface Uploads {
  /** Content of every file of every repository that was made here. */
  readonly repositories: Map<string, { readonly private: boolean; files: Map<string, Uint8Array> }>;
  /** What the storage has, by SHA-256. */
  readonly objects: Map<string, Uint8Array>;
  /** Parts of objects that come in several, by SHA-256 and number. */
  readonly parts: Map<string, Uint8Array>;
  /** Bytes that were sent to the storage, request by request. */
  readonly puts: number[];
}

export interface UploadHub {
  readonly url: string;
  readonly storageUrl: string;
  readonly uploads: Uploads;
  serve(repository: Repository): void;
}

interface Asking {
  readonly at: 'hub' | 'storage';
  readonly method: string;
  readonly path: string;
  /** Whether the token may write. */
  readonly mayWrite: boolean;
}

// Larger objects come in parts of this size, as the real hub has it with other numbers.
export const PART_BYTES: number = 1 << 20;
// What git itself keeps on the real hub, and these endings never.
const REGULAR_BYTES_MAX = 100_000;
const LFS_NAME = /\.(gguf|safetensors)$/;

/** Answers what belongs to an upload; false for everything else. */
export async function answerUpload(
  hub: UploadHub,
  { at, method, path, mayWrite }: Asking,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const answer = routeOf(at, method, path);
  if (answer === undefined) return false;
  if (at === 'hub' && !mayWrite) {
    refuse(response, 403, 'Forbidden');
    return true;
  }
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  answer(hub, Buffer.concat(parts), response);
  return true;
}

type Answer = (hub: UploadHub, body: Buffer, response: ServerResponse) => void;

function routeOf(at: 'hub' | 'storage', method: string, path: string): Answer | undefined {
  const [, oid, number] = /^\/lfs\/([0-9a-f]{64})(?:\/(\d+))?$/.exec(path) ?? [];
  if (at === 'storage') return method === 'PUT' && oid !== undefined ? put(oid, number) : undefined;
  if (method !== 'POST') return undefined;
  if (path === '/api/repos/create') return create;
  if (oid !== undefined) return complete(oid);
  const [, name = '', what] =
    /^\/api\/models\/([^/]+\/[^/]+)\/(preupload|commit)\//.exec(path) ?? [];
  if (what === 'preupload') return preupload;
  if (what === 'commit') return commit(name);
  return /\.git\/info\/lfs\/objects\/batch$/.test(path) ? batch : undefined;
}

function create({ uploads, serve, url }: UploadHub, body: Buffer, response: ServerResponse): void {
  const { organization, name, visibility } = JSON.parse(body.toString()) as Record<string, string>;
  const full = `${organization}/${name}`;
  uploads.repositories.set(full, { private: visibility === 'private', files: new Map() });
  const access = visibility === 'private' ? 'private' : 'open';
  serve(memoryRepository({}, { name: full, access }));
  sendJson(response, { url: `${url}/${full}`, id: full });
}

function preupload(_: UploadHub, body: Buffer, response: ServerResponse): void {
  const { files } = JSON.parse(body.toString()) as { files: { path: string; size: number }[] };
  const modeOf = ({ path, size }: { path: string; size: number }): string =>
    size > REGULAR_BYTES_MAX || LFS_NAME.test(path) ? 'lfs' : 'regular';
  sendJson(response, {
    files: files.map((file) => ({ path: file.path, uploadMode: modeOf(file) })),
  });
}

function batch(
  { uploads, storageUrl, url }: UploadHub,
  body: Buffer,
  response: ServerResponse,
): void {
  const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
  const uploadOf = (oid: string, size: number): object => {
    if (size <= PART_BYTES) return { href: `${storageUrl}/lfs/${oid}` };
    const numbers = Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, part) => part + 1);
    const header = Object.fromEntries(
      numbers.map((part) => [String(part).padStart(5, '0'), `${storageUrl}/lfs/${oid}/${part}`]),
    );
    return { href: `${url}/lfs/${oid}`, header: { chunk_size: String(PART_BYTES), ...header } };
  };
  sendJson(response, {
    transfer: 'basic',
    objects: objects.map(({ oid, size }) => ({
      oid,
      size,
      ...(uploads.objects.has(oid) ? {} : { actions: { upload: uploadOf(oid, size) } }),
    })),
  });
}

function put(oid: string, number: string | undefined): Answer {
  return ({ uploads }, body, response) => {
    uploads.puts.push(body.length);
    if (number !== undefined) uploads.parts.set(`${oid} ${number}`, body);
    else if (digestOf(body) === oid) uploads.objects.set(oid, body);
    else return send(response, 400, 'other bytes than were announced');
    send(response, 200, '', { etag: `"${number ?? oid}"` });
  };
}

function complete(oid: string): Answer {
  return ({ uploads }, body, response) => {
    const { parts } = JSON.parse(body.toString()) as { parts: { partNumber: number }[] };
    const whole = Buffer.concat(
      parts.map(({ partNumber }) => uploads.parts.get(`${oid} ${partNumber}`) ?? new Uint8Array()),
    );
    if (digestOf(whole) !== oid) return send(response, 400, 'other bytes than were announced');
    uploads.objects.set(oid, whole);
    sendJson(response, {});
  };
}

interface CommitLine {
  readonly key: string;
  readonly value: { readonly path: string; readonly content?: string; readonly oid?: string };
}

function commit(name: string): Answer {
  return (hub, body, response) => {
    const made = hub.uploads.repositories.get(name);
    if (made === undefined) return refuse(response, 404, 'RepoNotFound');
    for (const line of body.toString().split('\n')) {
      const { key, value } = JSON.parse(line) as CommitLine;
      if (key === 'header') continue;
      const content = contentOf(key, value, hub.uploads);
      if (content === undefined) return send(response, 400, `no ${key} of that name`);
      made.files.set(value.path, content);
    }
    const repository = memoryRepository(Object.fromEntries(made.files), {
      name,
      access: made.private ? 'private' : 'open',
    });
    hub.serve(repository);
    sendJson(response, {
      commitOid: repository.commit,
      commitUrl: `${hub.url}/${name}/commit/${repository.commit}`,
    });
  };
}

function contentOf(
  key: string,
  { content, oid }: CommitLine['value'],
  { objects }: Uploads,
): Uint8Array | undefined {
  if (key === 'file') return Buffer.from(content ?? '', 'base64');
  return key === 'lfsFile' ? objects.get(oid ?? '') : undefined;
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
