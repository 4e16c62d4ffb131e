/**
 * Hub transport: requests to a hub, with the token, redirects, waiting and trying again.
 *
 *   URL ──▶ HubTransport.request ──▶ HubReply, or a FaultError that says whose fault it is
 *
 * Redirects are followed here and not by `fetch`, for two reasons: the token goes to the hub's
 * own origin and nowhere else, and what the hub says of a file (its commit, its digest) stands in
 * the headers of the redirect, not in those of the storage that it leads to.
 * Read next: hub-replies.ts (what an answer means), hub-repository.ts (what is asked).
 */

import { FaultError } from '../../proto/fault.ts';
import { DiskBlob } from './disk-blob.ts';
import { letGo, orAborted, partsOf } from './hub-body.ts';
import { hubFaults } from './hub-faults.ts';
import { faultOfReply, isPassing, Passing, passingOf } from './hub-replies.ts';

export interface HubTransportOptions {
  /** Where the hub is; checked by `parseHubUrl`. */
  readonly url: URL;
  readonly token?: string;
  /** `org/name`, for faults. */
  readonly repository: string;
  /** Stands in for waiting, in tests. */
  readonly wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

type HubBody = NonNullable<RequestInit['body']> | null;

export interface HubRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HubBody;
  readonly signal?: AbortSignal | undefined;
  /** The file that it is about, for faults. */
  readonly file?: string;
}

type SentRequest = HubRequest & { readonly body: HubBody };

export interface HubReply {
  readonly response: Response;
  /** The headers of every answer on the way, the last one's first. */
  readonly headers: readonly Headers[];
  /** Where the answer came from in the end. */
  readonly url: string;
}

// The hub sends a file's reader on once, a renamed repository's twice.
const REDIRECTS_MAX = 5;
// With the waits between them some two minutes: longer than the restart of a router.
const ATTEMPTS_MAX = 8;
// A hub that has never answered is a wrong address or no network, which a person wants to hear of.
const FIRST_ATTEMPTS_MAX = 3;
const WAIT_MS_FIRST = 500;
const WAIT_MS_MAX = 30_000;
// The hub counts requests in windows of five minutes.
const ASKED_WAIT_MS_MAX = 600_000;
// A connection without a byte for so long is dead, whatever TCP thinks of it.
const SILENCE_MS_MAX = 60_000;
// The tree of ten thousand files with its digests takes some 4 MB.
const API_REPLY_BYTES_MAX = 64 << 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** @throws FaultError QD-2517 where a hub cannot be there, or the token would travel in the clear */
export function parseHubUrl(text: string, hasToken: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '') {
    throw new FaultError(hubFaults.badUrl, { why: `${JSON.stringify(text)} is no such address` });
  }
  if (url.username !== '' || url.password !== '') {
    throw new FaultError(hubFaults.badUrl, { why: 'it holds a name or a password' });
  }
  const isNear = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (hasToken && url.protocol === 'http:' && !isNear) {
    throw new FaultError(hubFaults.badUrl, {
      why: 'the token would be sent without encryption',
      hint: 'use https, or leave the token out: env -u HF_TOKEN quantd …',
    });
  }
  return url;
}

export class HubTransport {
  /** Without a slash at its end, as the library wants it. */
  readonly hubUrl: string;
  readonly #origin: string;
  readonly #token: string | undefined;
  readonly #repository: string;
  #hasAnswered = false;
  readonly #wait: NonNullable<HubTransportOptions['wait']>;

  constructor({ url, token, repository, wait = pause }: HubTransportOptions) {
    // What is no header value would be named, token and all, by the error that fetch throws.
    if (token !== undefined && !/^[\x21-\x7e]{1,512}$/.test(token)) {
      throw new FaultError(hubFaults.badToken);
    }
    this.hubUrl = url.href.replace(/\/+$/, '');
    this.#origin = url.origin;
    this.#token = token;
    this.#repository = repository;
    this.#wait = wait;
  }

  get repository(): string {
    return this.#repository;
  }

  /**
   * `fetch` as the library takes it, for the hub's API alone: answers come whole.
   * Everything but success is thrown as a fault.
   */
  readonly fetch: typeof fetch = async (input, init) => {
    const url = urlOf(input);
    if (new URL(url).origin !== this.#origin) {
      throw new FaultError(hubFaults.unexpectedReply, {
        why: 'its list goes on at another address',
      });
    }
    return this.#whole(url, requestOf(init));
  };

  /**
   * The same for an upload, parts of which go to the storage that the hub names.
   * @param onBytes is told of bytes of files that have left, and of fewer when an attempt failed
   */
  upload(
    input: Parameters<typeof fetch>[0],
    init: RequestInit | undefined,
    onBytes: (bytes: number) => void,
  ): Promise<Response> {
    return this.#whole(urlOf(input), requestOf(init), onBytes);
  }

  async #whole(
    url: string,
    request: SentRequest,
    onBytes: (bytes: number) => void = () => undefined,
  ): Promise<Response> {
    return this.persist(async () => {
      const silence = new Silence(request.signal);
      let sent = 0;
      const count = (bytes: number): void => {
        silence.broken();
        sent += bytes;
        onBytes(bytes);
      };
      const body = request.body instanceof DiskBlob ? request.body.watched(count) : request.body;
      try {
        const { response } = await this.request(url, { ...request, body, signal: silence.signal });
        return new Response(await readWhole(response, silence), {
          status: response.status,
          headers: plainHeaders(response.headers),
        });
      } catch (error) {
        onBytes(-sent);
        throw error;
      } finally {
        silence.end();
      }
    }, request.signal);
  }

  /**
   * One request and its redirects; the answer's body is the caller's to read or to cancel.
   * @throws FaultError, or Passing where another attempt may succeed
   */
  async request(url: string, request: HubRequest): Promise<HubReply> {
    const headers: Headers[] = [];
    let at = url;
    let { method = 'GET', body = null } = request;
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
      const response = await this.#once(at, { ...request, method, body });
      headers.unshift(response.headers);
      if (!REDIRECTS.has(response.status)) {
        if (!response.ok) throw await this.#refusal(response, at, request);
        return { response, headers, url: at };
      }
      await letGo(response, request.signal);
      at = this.#next(at, response);
      // What a browser does, too: only 307 and 308 keep a request's method and body.
      if (response.status < 307 && method !== 'GET') [method, body] = ['GET', null];
    }
    throw new FaultError(hubFaults.unexpectedReply, {
      why: `more than ${REDIRECTS_MAX} redirects`,
    });
  }

  /**
   * Tries again what fails for a reason that may pass, more and more slowly.
   * @param work is told how to say that it has come further: then the count begins anew
   */
  async persist<Result>(
    work: (furthered: () => void) => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    let failures = 0;
    for (;;) {
      try {
        return await work(() => {
          failures = 0;
        });
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        const passing = passingOf(error);
        const most = this.#hasAnswered ? ATTEMPTS_MAX : FIRST_ATTEMPTS_MAX;
        if (++failures >= most) throw passing.fault;
        await this.#wait(waitBefore(failures, passing), signal);
      }
    }
  }

  async #once(
    url: string,
    { method = 'GET', body = null, ...rest }: HubRequest,
  ): Promise<Response> {
    const headers = new Headers(rest.headers);
    headers.delete('authorization');
    if (this.#token !== undefined && new URL(url).origin === this.#origin) {
      headers.set('authorization', `Bearer ${this.#token}`);
    }
    const asked = fetch(url, {
      method,
      headers,
      body,
      redirect: 'manual',
      signal: rest.signal ?? null,
    });
    const response = await orAborted(asked, rest.signal);
    this.#hasAnswered = true;
    return response;
  }

  #next(from: string, response: Response): string {
    const location = response.headers.get('location') ?? '';
    if (location === '' || !URL.canParse(location, from)) {
      throw new FaultError(hubFaults.unexpectedReply, { why: 'a redirect that leads nowhere' });
    }
    const next = new URL(location, from);
    const isWorse = next.protocol !== 'https:' && new URL(from).protocol === 'https:';
    if (isWorse || !/^https?:$/.test(next.protocol)) {
      throw new FaultError(hubFaults.unexpectedReply, {
        why: 'a redirect away from an encrypted connection',
      });
    }
    return next.href;
  }

  async #refusal(response: Response, url: string, { file, signal }: HubRequest): Promise<Error> {
    await letGo(response, signal);
    return faultOfReply(response, {
      isHub: new URL(url).origin === this.#origin,
      hasToken: this.#token !== undefined,
      page: `${this.hubUrl}/${this.#repository}`,
      repository: this.#repository,
      ...(file === undefined ? {} : { file }),
    });
  }
}

/** Aborts what it watches when nothing has been heard for too long. */
export class Silence {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#controller.abort(this.#outer?.reason);
  #timer: NodeJS.Timeout;

  constructor(outer: AbortSignal | undefined) {
    this.signal = this.#controller.signal;
    this.#outer = outer;
    if (outer?.aborted) this.#onAbort();
    outer?.addEventListener('abort', this.#onAbort);
    this.#timer = this.#begin();
  }

  /** Something was heard. */
  broken(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }

  #begin(): NodeJS.Timeout {
    const why = `not a byte for ${SILENCE_MS_MAX / 1000} s`;
    const fault = new FaultError(hubFaults.unreachable, { why });
    return setTimeout(() => this.#controller.abort(new Passing(fault)), SILENCE_MS_MAX);
  }
}

async function readWhole(response: Response, silence: Silence): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of partsOf(response, silence.signal)) {
    silence.broken();
    bytes += part.length;
    if (bytes > API_REPLY_BYTES_MAX) {
      throw new FaultError(hubFaults.unexpectedReply, {
        why: `more than ${API_REPLY_BYTES_MAX} bytes`,
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function urlOf(input: Parameters<typeof fetch>[0]): string {
  return input instanceof Request ? input.url : String(input);
}

function requestOf(init: RequestInit | undefined): SentRequest {
  return {
    method: init?.method ?? 'GET',
    headers: Object.fromEntries(new Headers(init?.headers)),
    body: init?.body ?? null,
    signal: init?.signal ?? undefined,
  };
}

/** Without what was true of the bytes on the wire only. */
function plainHeaders(headers: Headers): Headers {
  const plain = new Headers(headers);
  for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) {
    plain.delete(name);
  }
  return plain;
}

function waitBefore(failures: number, { fault, waitMs }: Passing): number {
  if (waitMs !== undefined) {
    if (waitMs <= ASKED_WAIT_MS_MAX) return waitMs;
    const why = `it asks to wait for ${Math.round(waitMs / 1000)} s`;
    throw new FaultError(fault.kind, { ...fault.detail, why });
  }
  const longest = Math.min(WAIT_MS_MAX, WAIT_MS_FIRST * 2 ** (failures - 1));
  // Many that were turned away together must not come back together.
  return longest * (0.5 + Math.random() / 2);
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
