/** Blob name: how git names the bytes of a file: SHA-1 of `blob <bytes>`, a zero byte and the bytes. */

import { createHash } from 'node:crypto';

/** @param parts of the content, in order, of `bytes` bytes in all */
export async function blobName(bytes: number, parts: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha1').update(`blob ${bytes}\0`);
  for await (const part of parts) hash.update(part);
  return hash.digest('hex');
}
