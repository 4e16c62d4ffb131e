/**
 * Loopback hub: a hub for the tests, on two ports of this machine: the hub, and its storage.
 *
 *   Repository, rules ──▶ startHub ──▶ LoopbackHub: url, what was asked, bytes served per file
 *
 * It answers what @huggingface/hub asks for: a revision's commit, the tree, the bytes of files by
 * ranges, with redirects to a second origin for files kept by LFS. A rule makes an answer wrong.
 */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refuse, send, sendJson } from './answers.ts';
import { sendContent, type Trouble } from './content.ts';
import type { Repository, RepositoryFile } from './repository.ts';
import { answerUpload, type UploadHub, type Uploads } from './uploads.ts';

export interface Rule {
  readonly at: 'hub' | 'storage';
  /** Part of the address. */
  readonly path: string;
  /** Requests that it is applied to; then it is gone. Once where absent. */
  readonly times?: number;
  /** Requests that it lets pass before. */
  readonly after?: number;
  readonly trouble: Trouble;
}

export interface Asked {
  readonly at: 'hub' | 'storage';
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

export interface LoopbackHub {
  /** For --hub-url. */
  readonly url: string;
  readonly asked: readonly Asked[];
  /** Bytes of file content that have left, by path. */
  readonly served: ReadonlyMap<string, number>;
  /** Repositories that were made by uploads. */
  readonly uploads: Uploads;
  rule(rule: Rule): void;
  /** Forgets all rules. */
  calm(): void;
  /** What it serves from now on. */
  serve(repository: Repository): void;
  close(): Promise<void>;
}

/** The token that is let in everywhere; `hf_other` is known, but has accepted no licence. */
export const TOKEN = 'hf_testtoken';
/** Tokens of machines, each let in everywhere but to what is gated. */
export const MACHINE_TOKENS = ['hf_a', 'hf_b', 'hf_c', 'hf_d'];
const KNOWN_TOKENS = [TOKEN, 'hf_other', ...MACHINE_TOKENS];

interface ActiveRule extends Rule {
  left: number;
  pass: number;
}

export async function startHub(...repositories: Repository[]): Promise<LoopbackHub> {
  const hub = new Hub(repositories);
  await hub.start();
  return hub;
}

class Hub implements LoopbackHub, UploadHub {
  readonly asked: Asked[] = [];
  readonly served = new Map<string, number>();
  readonly uploads: Uploads = {
    repositories: new Map(),
    objects: new Map(),
    parts: new Map(),
    puts: [],
  };
  readonly #repositories = new Map<string, Repository>();
  readonly #rules: ActiveRule[] = [];
  readonly #hub = this.#server('hub');
  readonly #storage = this.#server('storage');

  constructor(repositories: readonly Repository[]) {
    for (const repository of repositories) this.serve(repository);
  }

  get url(): string {
    return `http://127.0.0.1:${portOf(this.#hub)}`;
  }

  get storageUrl(): string {
    return `http://127.0.0.1:${portOf(this.#storage)}`;
  }

  rule(rule: Rule): void {
    this.#rules.push({ ...rule, left: rule.times ?? 1, pass: rule.after ?? 0 });
  }

  calm(): void {
    this.#rules.length = 0;
  }

  readonly serve = (repository: Repository): void => {
    this.#repositories.set(repository.name, repository);
  };

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #server(at: Asked['at']): Server {
    return createServer((request, response) => {
      this.#answer(at, request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
  }

  async #answer(
    at: Asked['at'],
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = 'GET', url = '/', headers } = request;
    const { authorization, range } = headers;
    this.asked.push({ at, method, url, authorization, range });
    const trouble = this.#troubleOf(at, url);
    if (trouble?.kind === 'status') {
      send(response, trouble.status, '', trouble.headers);
    } else if (trouble?.kind === 'text') {
      send(response, 200, trouble.text, {
        'content-type': 'application/json',
        ...trouble.headers,
      });
    } else if (trouble?.kind === 'redirect') {
      send(response, 302, '', { location: trouble.location });
    } else {
      const path = new URL(url, this.url).pathname;
      const mayWrite = authorization === `Bearer ${TOKEN}`;
      if (await answerUpload(this, { at, method, path, mayWrite }, request, response)) return;
      if (at === 'storage') await this.#storageFile(path, range, response, trouble);
      else await this.#page(path, { authorization, range }, response, trouble);
    }
  }

  #troubleOf(at: Asked['at'], url: string): Trouble | undefined {
    const rule = this.#rules.find((one) => one.at === at && one.left > 0 && url.includes(one.path));
    if (rule === undefined) return undefined;
    if (rule.pass > 0) rule.pass--;
    else {
      rule.left--;
      return rule.trouble;
    }
    return undefined;
  }

  async #page(
    pathname: string,
    asked: Pick<Asked, 'authorization' | 'range'>,
    response: ServerResponse,
    trouble: Trouble | undefined,
  ): Promise<void> {
    const path = decodeURIComponent(pathname);
    const [, name = '', what = '', rest = ''] =
      /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path) ??
      /^\/([^/]+\/[^/]+)\/(resolve)\/(.+)$/.exec(path) ??
      [];
    const repository = this.#repositories.get(name);
    const isKnown = KNOWN_TOKENS.some((token) => asked.authorization === `Bearer ${token}`);
    if (asked.authorization !== undefined && !isKnown) {
      return send(response, 401, '', { 'x-error-message': 'Invalid credentials' });
    }
    // Whoever may not see a repository learns no more than who asks for one that is not there.
    if (repository === undefined || !(isKnown || repository.access !== 'private')) {
      return refuse(response, isKnown ? 404 : 401, 'RepoNotFound');
    }
    const { commit, revisions } = repository;
    const revision = [commit, ...revisions].find(
      (one) => rest === one || rest.startsWith(`${one}/`),
    );
    if (revision === undefined) return refuse(response, 404, 'RevisionNotFound');
    if (what === 'revision') return sendJson(response, modelOf(repository));
    if (what === 'tree') return this.#tree(repository, pathname, response);
    const isIn = repository.access !== 'gated' || asked.authorization === `Bearer ${TOKEN}`;
    if (!isIn) return refuse(response, isKnown ? 403 : 401, 'GatedRepo');
    await this.#resolve(repository, rest.slice(revision.length + 1), asked, response, trouble);
  }

  /** As the hub does, in pages: of two entries, so that there are some. */
  #tree({ files }: Repository, pathname: string, response: ServerResponse): void {
    const from = Number(new URL(response.req.url ?? '/', this.url).searchParams.get('cursor') ?? 0);
    const next = `<${this.url}${pathname}?recursive=true&expand=false&cursor=${from + 2}>; rel="next"`;
    const entries = files.slice(from, from + 2).map(({ path, bytes, oid, sha256 }) => ({
      type: 'file',
      oid,
      size: bytes,
      path,
      ...(sha256 === undefined ? {} : { lfs: { oid: sha256, size: bytes, pointerSize: 134 } }),
    }));
    sendJson(response, entries, from + 2 < files.length ? { link: next } : {});
  }

  async #resolve(
    repository: Repository,
    path: string,
    { range, authorization = '' }: Pick<Asked, 'authorization' | 'range'>,
    response: ServerResponse,
    trouble: Trouble | undefined,
  ): Promise<void> {
    const file = repository.files.find((one) => one.path === path);
    if (file === undefined) return refuse(response, 404, 'EntryNotFound');
    const commit = trouble?.kind === 'commit' ? trouble.commit : repository.commit;
    const etag = trouble?.kind === 'etag' ? trouble.etag : (file.sha256 ?? file.oid);
    response.setHeader('x-repo-commit', commit);
    if (file.sha256 === undefined) {
      response.setHeader('etag', `"${etag}"`);
      return this.#content(file, range, response, trouble);
    }
    response.setHeader('x-linked-size', file.bytes);
    response.setHeader('x-linked-etag', `"${etag}"`);
    const place = `${repository.name}/${repository.commit}/${file.path}`;
    send(response, 302, '', {
      location: `${this.storageUrl}/${place}?signature=secret&who=${nameOf(authorization)}`,
    });
  }

  async #storageFile(
    pathname: string,
    range: string | undefined,
    response: ServerResponse,
    trouble: Trouble | undefined,
  ): Promise<void> {
    const path = decodeURIComponent(pathname);
    for (const { name, commit, files } of this.#repositories.values()) {
      const file = files.find((one) => path === `/${name}/${commit}/${one.path}`);
      if (file === undefined) continue;
      const etag = trouble?.kind === 'etag' ? trouble.etag : `of-${file.oid}`;
      response.setHeader('etag', `"${etag}"`);
      return this.#content(file, range, response, trouble);
    }
    send(response, 403, '');
  }

  #content(
    file: RepositoryFile,
    range: string | undefined,
    response: ServerResponse,
    trouble: Trouble | undefined,
  ): Promise<void> {
    return sendContent(file, range, response, trouble, (bytes) => {
      this.served.set(file.path, (this.served.get(file.path) ?? 0) + bytes);
    });
  }
}

/** What stands in the addresses that are given out, so that it can be told who uses them. */
function nameOf(authorization: string): string {
  return createHash('sha256').update(authorization).digest('hex').slice(0, 8);
}

/** Bytes that the storage was asked for, by the machine with each of these tokens and by file. */
export function askedBy(hub: LoopbackHub, token: string): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const { at, url, range } of hub.asked) {
    const { pathname, searchParams } = new URL(url, hub.url);
    if (at !== 'storage' || searchParams.get('who') !== nameOf(`Bearer ${token}`)) continue;
    const file = pathname.split('/').slice(4).join('/');
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    bytes.set(file, (bytes.get(file) ?? 0) + Number(last) - Number(first) + 1);
  }
  return bytes;
}

function modelOf({ name, commit, access }: Repository): object {
  return {
    _id: '000000000000000000000000',
    id: name,
    sha: commit,
    private: access === 'private',
    gated: access === 'gated' ? 'manual' : false,
    lastModified: '2026-01-01T00:00:00.000Z',
    downloads: 0,
    likes: 0,
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
