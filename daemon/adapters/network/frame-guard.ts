/**
 * Frame guard: ends a connection whose multiplexer frames are longer than any we ask for.
 *
 * The multiplexer collects a frame until it is whole before it looks at it, and a header may
 * announce 4 GiB. This reads the headers alongside and stops such a frame at its first byte.
 */

import type { MessageStream, StreamMessageEvent, StreamMuxerFactory } from '@libp2p/interface';

/** Yamux: version, type, flags (2), stream (4), length (4). */
const HEADER_BYTES = 12;
const DATA_TYPE = 0;

/** Adds the guard to every connection that the factory makes a multiplexer for. */
export function guardFrames<Factory extends StreamMuxerFactory>(
  factory: Factory,
  frameBytesMax: number,
): Factory {
  const create = factory.createStreamMuxer.bind(factory);
  return Object.assign(factory, {
    createStreamMuxer: (connection: MessageStream) => {
      guard(connection, frameBytesMax);
      return create(connection);
    },
  });
}

function guard(connection: MessageStream, frameBytesMax: number): void {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  let headerBytes = 0;
  let bodyBytes = 0;
  const take = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) {
      if (bodyBytes > 0) {
        const step = Math.min(bodyBytes, bytes.length - at);
        bodyBytes -= step;
        at += step;
        continue;
      }
      header[headerBytes] = bytes[at] ?? 0;
      headerBytes += 1;
      at += 1;
      if (headerBytes < HEADER_BYTES) continue;
      headerBytes = 0;
      // Only data has a body; in the other types the last field is a number.
      bodyBytes = header[1] === DATA_TYPE ? view.getUint32(8) : 0;
      if (bodyBytes > frameBytesMax) connection.abort(new Error('a frame is too long'));
    }
  };
  connection.addEventListener('message', ({ data }: StreamMessageEvent) => {
    if (data instanceof Uint8Array) take(data);
    else for (const part of data) take(part);
  });
}
