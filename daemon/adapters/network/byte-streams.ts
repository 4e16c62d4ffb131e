/**
 * Byte streams: what a libp2p stream brings as an async iterable, and bytes put into one at the
 * speed it takes them.
 *
 *   stream ──▶ received ──▶ chunks       chunks ──▶ sendAll ──▶ stream
 *
 * libp2p's own iterator never pauses its sender and its `onDrain` waits only the first time, so
 * both are done here with the events themselves.
 */

import type { Stream, StreamMessageEvent } from '@libp2p/interface';

export type Chunk = StreamMessageEvent['data'];

/** What is sent in one piece: small enough that other streams get their turn in between. */
const CHUNK_BYTES_MAX = 256 * 1024;

/**
 * Chunks as they come, until the far end has said its last; throws when the stream is reset.
 * More than `queuedBytesMax` unread resets it: use this for small messages that are taken at once.
 */
export async function* received(stream: Stream, queuedBytesMax: number): AsyncGenerator<Chunk> {
  const queue: Chunk[] = [];
  let queuedBytes = 0;
  let wake: () => void = () => undefined;
  const onMessage = (event: StreamMessageEvent): void => {
    queue.push(event.data);
    queuedBytes += event.data.byteLength;
    if (queuedBytes > queuedBytesMax) stream.abort(new Error('more was sent than is taken'));
    wake();
  };
  const onEnd = (): void => wake();
  stream.addEventListener('message', onMessage);
  stream.addEventListener('end', onEnd);
  stream.addEventListener('close', onEnd);
  try {
    while (true) {
      const chunk = queue.shift();
      if (chunk !== undefined) {
        queuedBytes -= chunk.byteLength;
        yield chunk;
      } else if (stream.status === 'aborted' || stream.status === 'reset') {
        throw new Error(`the stream was ${stream.status}`);
      } else if (stream.readableEnded || stream.status === 'closed') {
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stream.removeEventListener('message', onMessage);
    stream.removeEventListener('end', onEnd);
    stream.removeEventListener('close', onEnd);
  }
}

/** Waits until the stream takes more; throws when it never will. */
export async function writable(stream: Stream): Promise<void> {
  while (stream.writableNeedsDrain && stream.writeStatus !== 'closed') {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        stream.removeEventListener('drain', done);
        stream.removeEventListener('close', done);
        resolve();
      };
      stream.addEventListener('drain', done);
      stream.addEventListener('close', done);
    });
  }
  if (stream.status !== 'open') throw new Error(`the stream is ${stream.status}`);
}

/** Sends all of it, no faster than it is taken; `moved` is told of every piece. */
export async function sendAll(
  stream: Stream,
  source: Iterable<Chunk> | AsyncIterable<Chunk>,
  moved: () => void = () => undefined,
): Promise<void> {
  for await (const chunk of source) {
    for (let offset = 0; offset < chunk.byteLength; offset += CHUNK_BYTES_MAX) {
      await writable(stream);
      const end = Math.min(offset + CHUNK_BYTES_MAX, chunk.byteLength);
      stream.send(chunk.subarray(offset, end));
      moved();
    }
  }
  try {
    await writable(stream);
  } catch (error) {
    // A far end that has all of it may be gone before this one has noticed that it left.
    if (stream.status !== 'reset' || stream.writeBufferLength > 0) throw error;
  }
}
