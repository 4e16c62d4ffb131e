/**
 * Description: what a machine must know of a checkpoint to run its layers, as one byte string.
 *
 *   config.json + headers of the tensor files ──▶ encodeDescription ──▶ bytes ──▶ decodeDescription
 *
 * It is made of the files' own texts, which the reader takes apart with the same care as if they
 * had been its own. The digest of its bytes stands for the model in the ids of measuring.
 */

import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { Checkpoint, JsonObject, SourceFile } from '../checkpoint/checkpoint.ts';
import { decodeUtf8, isJsonObject, parseJsonFile } from '../checkpoint/config.ts';
import { parseSafetensorsHeader } from '../checkpoint/safetensors.ts';
import { mergeShards } from '../checkpoint/shard-index.ts';
import { modelFaults } from './faults.ts';
import type { HeadWishes } from './measured-model.ts';

export interface DescribedFile extends SourceFile {
  /** SHA-256 of the whole file, lower-case hex. */
  readonly digest: string;
  /** The text between its first 8 bytes and its tensors. */
  readonly header: Uint8Array;
}

export interface Description {
  /** The bytes of config.json. */
  readonly config: Uint8Array;
  /** In the order of their names. */
  readonly files: readonly DescribedFile[];
  /** Tokens a chunk. */
  readonly positions: number;
  readonly head: HeadWishes;
}

/** What of a checkpoint follows from its description: everything but its vocabulary. */
export interface DescribedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly fileDigests: ReadonlyMap<string, string>;
  readonly positions: number;
  readonly head: HeadWishes;
}

const NAME = 'description';
const encoder = new TextEncoder();

export function encodeDescription(description: Description): Uint8Array {
  const { config, files, positions, head } = description;
  const text = (bytes: Uint8Array): string => {
    const decoded = decodeUtf8(bytes);
    assert(decoded !== undefined, 'what was parsed is UTF-8');
    return decoded;
  };
  const listed = files.map(({ file, bytes, digest, header }) => {
    return { file, bytes, digest, header: text(header) };
  });
  return encoder.encode(JSON.stringify({ positions, head, config: text(config), files: listed }));
}

// Longer contexts than any model was made for.
const POSITIONS_MAX: number = 2 ** 20;
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * @param bytes from another machine
 * @throws FaultError when they are no description, or describe no checkpoint
 */
export function decodeDescription(bytes: Uint8Array): DescribedCheckpoint {
  const { positions, head, config, files } = parseJsonFile(NAME, bytes);
  const isCount = typeof positions === 'number' && Number.isInteger(positions);
  if (!isCount || positions < 1 || positions > POSITIONS_MAX) throw broken('positions');
  if (typeof config !== 'string') throw broken('config');
  if (!Array.isArray(files)) throw broken('files');
  const listed = files.map(readFile);
  const shards = listed.map(({ file, bytes: size, header }) =>
    parseSafetensorsHeader(file, size, header),
  );
  const { tensors, unusable } = mergeShards(shards, undefined);
  return {
    checkpoint: {
      config: parseJsonFile('config.json', encoder.encode(config)),
      generationConfig: undefined,
      tokenizer: empty,
      tokenizerConfig: empty,
      chatTemplate: undefined,
      files: listed.map(({ file, bytes: size }) => ({ file, bytes: size })),
      tensors,
      unusable,
    },
    fileDigests: new Map(listed.map(({ file, digest }) => [file, digest])),
    positions,
    head: readHead(head),
  };
}

function readHead(value: unknown): HeadWishes {
  if (!isRecord(value)) throw broken('head');
  return { perplexity: value['perplexity'] === true, output: value['output'] === true };
}

const empty: JsonObject = {};

function readFile(entry: unknown): DescribedFile {
  if (!isRecord(entry)) throw broken('files');
  const { file, bytes, digest, header } = entry;
  if (typeof file !== 'string' || file === '') throw broken('files.file');
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes)) throw broken('files.bytes');
  if (typeof digest !== 'string' || !DIGEST.test(digest)) throw broken('files.digest');
  if (typeof header !== 'string') throw broken('files.header');
  return { file, bytes, digest, header: encoder.encode(header) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && isJsonObject(value as JsonObject);
}

function broken(key: string): FaultError {
  return new FaultError(modelFaults.badDescription, { key });
}
