/**
 * Checkpoint directory: a Hugging Face directory as a Checkpoint, read at once and in order.
 *
 *   directory ──▶ readCheckpoint ──▶ Checkpoint
 *
 * For tests only: it goes through the parsers of daemon/core/checkpoint but reads whole files.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint, JsonObject } from '../../daemon/core/checkpoint/checkpoint.ts';
import { parseJsonFile, parseTextFile } from '../../daemon/core/checkpoint/config.ts';
import {
  HEADER_LENGTH_BYTES,
  parseSafetensorsHeader,
  readHeaderLength,
} from '../../daemon/core/checkpoint/safetensors.ts';
import {
  checkShardsPresent,
  INDEX_FILE,
  mergeShards,
  parseShardIndex,
} from '../../daemon/core/checkpoint/shard-index.ts';

export function readCheckpoint(directory: string): Checkpoint {
  const bytesOf = (file: string): Uint8Array => readFileSync(join(directory, file));
  const json = (file: string): JsonObject => parseJsonFile(file, bytesOf(file));
  const has = (file: string): boolean => existsSync(join(directory, file));

  const files = readdirSync(directory).filter((file) => file.endsWith('.safetensors'));
  files.sort();
  const index = has(INDEX_FILE) ? parseShardIndex(bytesOf(INDEX_FILE)) : undefined;
  if (index !== undefined) checkShardsPresent(index, files);
  const shards = files.map((file) => {
    const bytes = bytesOf(file);
    const first = bytes.subarray(0, HEADER_LENGTH_BYTES);
    const end = HEADER_LENGTH_BYTES + readHeaderLength(first, file, bytes.length);
    const header = bytes.subarray(HEADER_LENGTH_BYTES, end);
    return {
      file,
      bytes: bytes.length,
      tensors: parseSafetensorsHeader(file, bytes.length, header),
    };
  });
  const { tensors, unusable } = mergeShards(
    shards.map((shard) => shard.tensors),
    index,
  );
  const template = 'chat_template.jinja';
  return {
    config: json('config.json'),
    generationConfig: has('generation_config.json') ? json('generation_config.json') : undefined,
    tokenizer: json('tokenizer.json'),
    tokenizerConfig: json('tokenizer_config.json'),
    chatTemplate: has(template) ? parseTextFile(template, bytesOf(template)) : undefined,
    files: shards.map(({ file, bytes }) => ({ file, bytes })),
    tensors,
    unusable,
  };
}
