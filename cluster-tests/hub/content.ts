/**
 * Content: how the loopback hub sends a part of a file, and what may go wrong with it.
 *
 *   RepositoryFile, range, Trouble ──▶ sendContent ──▶ status, headers, bytes
 */

import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { HeaderTexts } from './answers.ts';
import type { RepositoryFile } from './repository.ts';

/** What goes wrong with an answer. */
export type Trouble =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: HeaderTexts;
    }
  /** Bytes from further on, and a header that says so. */
  | { readonly kind: 'wrong-range'; readonly by: number }
  /** Status 200 and the whole file. */
  | { readonly kind: 'no-range' }
  /** The connection breaks after so many bytes. */
  | { readonly kind: 'close'; readonly afterBytes: number }
  /** So many bytes come, then `reached` is called, and nothing comes until its promise is settled. */
  | {
      readonly kind: 'stall';
      readonly afterBytes: number;
      readonly reached: () => Promise<void>;
    }
  /** A length that is not that of the range. */
  | { readonly kind: 'length'; readonly by: number }
  | { readonly kind: 'etag'; readonly etag: string }
  | { readonly kind: 'commit'; readonly commit: string }
  | { readonly kind: 'gzip' }
  /** One bit of what is sent is another. */
  | { readonly kind: 'flip' }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'text'; readonly text: string; readonly headers?: HeaderTexts };

// Of a large answer, as a socket takes it.
const PART_BYTES = 1 << 16;

/** @param onServed is told of bytes when they have been written */
export async function sendContent(
  file: RepositoryFile,
  range: string | undefined,
  response: ServerResponse,
  trouble: Trouble | undefined,
  onServed: (bytes: number) => void,
): Promise<void> {
  const shift = trouble?.kind === 'wrong-range' ? trouble.by : 0;
  const isWhole = range === undefined || trouble?.kind === 'no-range';
  const [first, last] = isWhole ? [0, file.bytes - 1] : rangeOf(range);
  const [offset, end] = [first + shift, Math.min(last + shift, file.bytes - 1) + 1];
  response.statusCode = isWhole ? 200 : 206;
  if (!isWhole) response.setHeader('content-range', `bytes ${offset}-${end - 1}/${file.bytes}`);
  if (trouble?.kind === 'gzip') {
    const zipped = gzipSync(await file.read(offset, end - offset));
    response.setHeader('content-encoding', 'gzip').setHeader('content-length', zipped.length);
    response.end(zipped);
    return;
  }
  const extra = trouble?.kind === 'length' ? trouble.by : 0;
  if (extra === 0) response.setHeader('content-length', end - offset);
  for await (const part of partsOf(file, offset, end + extra, trouble)) {
    if (response.destroyed) return;
    if (part === 'break') {
      // A body that the connection's end cuts off, after what was written has left.
      response.destroy();
      return;
    }
    await new Promise((resolve) => response.write(part, resolve));
    onServed(part.length);
  }
  response.end();
}

async function* partsOf(
  file: RepositoryFile,
  offset: number,
  end: number,
  trouble: Trouble | undefined,
): AsyncGenerator<Uint8Array | 'break'> {
  const hasStop = trouble?.kind === 'close' || trouble?.kind === 'stall';
  const stop = hasStop ? Math.min(end, offset + trouble.afterBytes) : end;
  yield* read(file, offset, stop, trouble?.kind === 'flip');
  if (trouble?.kind === 'close') yield 'break';
  if (trouble?.kind === 'stall') await trouble.reached();
  yield* read(file, stop, end, false);
}

async function* read(
  file: RepositoryFile,
  from: number,
  end: number,
  flip: boolean,
): AsyncGenerator<Uint8Array> {
  for (let at = from; at < end; at += PART_BYTES) {
    // Where more was promised than there is, zeros follow.
    const part = new Uint8Array(Math.min(PART_BYTES, end - at));
    part.set(await file.read(at, part.length));
    if (flip && at === from) part[0] = (part[0] ?? 0) ^ 1;
    yield part;
  }
}

function rangeOf(range: string): [first: number, last: number] {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
  return [Number(first), Number(last)];
}
