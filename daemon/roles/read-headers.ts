/** Read headers: the texts that describe a checkpoint's tensors, as they stand in its files. */

import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import { CONFIG_BYTES_MAX } from '../core/checkpoint/config.ts';
import { HEADER_LENGTH_BYTES, readHeaderLength } from '../core/checkpoint/safetensors.ts';
import type { Source } from '../ports.ts';

const CONFIG = 'config.json';

/** The bytes of config.json, and of each file's header without its length. */
export async function readHeaders(
  source: Source,
  files: readonly SourceFile[],
): Promise<{ readonly config: Uint8Array; readonly headers: readonly Uint8Array[] }> {
  const entries = await source.list();
  const size = entries.find(({ file }) => file === CONFIG)?.bytes ?? 0;
  const config = new Uint8Array(Math.min(size, CONFIG_BYTES_MAX));
  await source.read(CONFIG, 0, config);
  const headers: Uint8Array[] = [];
  for (const { file, bytes } of files) {
    const start = new Uint8Array(HEADER_LENGTH_BYTES);
    await source.read(file, 0, start);
    const header = new Uint8Array(readHeaderLength(start, file, bytes));
    await source.read(file, HEADER_LENGTH_BYTES, header);
    headers.push(header);
  }
  return { config, headers };
}
