/**
 * Shard index: which files of a checkpoint hold its tensors, and that they hold exactly those.
 *
 *   file names ──▶ chooseTensorFiles ──▶ [model.safetensors.index.json ──▶ parseShardIndex]
 *   tensors of each file + index ──▶ mergeShards ──▶ Checkpoint.tensors
 *
 * The index is a JSON object {metadata: {total_size}, weight_map: {tensor name: file name}} beside
 * the files. Its names come from a stranger and become paths, so only plain ones are let through.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { JsonObject, SourceTensor, UnusableTensor } from './checkpoint.ts';
import { isJsonObject, parseTextFile } from './config.ts';
import { checkpointFaults as faults } from './faults.ts';
import { parseJson } from './json.ts';
import { isPlainName, isUsable, TENSOR_NAME_BYTES_MAX } from './safetensors.ts';

export const INDEX_FILE = 'model.safetensors.index.json';
const SINGLE_FILE = 'model.safetensors';
// The index of a model with 150000 tensors takes 15 MB.
export const INDEX_BYTES_MAX = 32_000_000;
const INDEX_TENSORS_MAX = 250_000;
// What every file system can store.
const FILE_NAME_BYTES_MAX = 255;

// Letters, digits and three signs: no path, drive, stream, control or direction can hide in it.
const plainShardName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors$/;
const numberedShardName = /-[0-9]+-of-[0-9]+\.safetensors$/;
const pickleName = /\.(?:bin|pt|pth|pkl|ckpt)$/;

export interface ShardIndex {
  /** The file of each tensor. */
  readonly fileOf: ReadonlyMap<string, string>;
  /** Every file that holds a tensor, by name. */
  readonly files: readonly string[];
  /** Bytes of all tensors as the index says; not every tool counts alike. */
  readonly totalBytes: number | undefined;
}

export interface TensorFiles {
  /** Whether INDEX_FILE names the files; else `files` is the one file. */
  readonly sharded: boolean;
  readonly files: readonly string[];
  readonly notices: readonly string[];
}

/**
 * Which files to read, from the names of all files at the top of SOURCE. The index counts more
 * than a single file.
 * @throws FaultError when there are none, several without an index, or only pickles or GGUFs
 */
export function chooseTensorFiles(names: readonly string[]): TensorFiles {
  const tensorFiles = names.filter((name) => name.endsWith('.safetensors')).sort();
  if (names.includes(INDEX_FILE)) return { sharded: true, files: tensorFiles, notices: [] };
  const [first, second] = tensorFiles;
  if (first === undefined) return refuseWithoutTensors(names);

  const numbered = tensorFiles.some((name) => numberedShardName.test(name));
  if (second === undefined && !numbered) return { sharded: false, files: [first], notices: [] };
  if (numbered || !tensorFiles.includes(SINGLE_FILE)) {
    const why = `${tensorFiles.length} files, the first is ${shown(first)}`;
    throw new FaultError(faults.severalWithoutIndex, { why });
  }
  const others = tensorFiles.filter((name) => name !== SINGLE_FILE);
  return { sharded: false, files: [SINGLE_FILE], notices: others.map(notRead) };
}

function refuseWithoutTensors(names: readonly string[]): never {
  const gguf = names.find((name) => name.endsWith('.gguf'));
  if (gguf !== undefined) throw new FaultError(faults.alreadyGguf, { file: shown(gguf) });
  const pickle = names.find((name) => pickleName.test(name));
  if (pickle !== undefined) throw new FaultError(faults.pickleOnly, { file: shown(pickle) });
  throw new FaultError(faults.noTensorFiles);
}

function notRead(name: string): string {
  return `${shown(name)} is not part of the checkpoint and is not read`;
}

/** A name for the user to read, or a word for one that must not reach a terminal. */
function shown(name: string): string {
  return isPlainName(name, FILE_NAME_BYTES_MAX) ? name : 'a file with an unprintable name';
}

/** @throws FaultError when it is not an index, or names a file that is not a plain one beside it */
export function parseShardIndex(bytes: Uint8Array): ShardIndex {
  const index = parseIndexJson(bytes);
  const { weight_map: map } = index;
  if (!isJsonObject(map)) return wrongIndex('weight_map must be an object');

  const fileOf = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (!isPlainName(tensor, TENSOR_NAME_BYTES_MAX)) {
      throw new FaultError(faults.tensorNameWrong, { file: INDEX_FILE });
    }
    if (typeof file !== 'string') return wrongIndex('a file name must be text', tensor);
    checkShardName(tensor, file);
    fileOf.set(tensor, file);
  }
  if (fileOf.size === 0) return wrongIndex('it names no tensor');
  return { fileOf, files: [...new Set(fileOf.values())].sort(), totalBytes: totalBytes(index) };
}

function parseIndexJson(bytes: Uint8Array): JsonObject {
  const index = parseJson(parseTextFile(INDEX_FILE, bytes), {
    // An index nests 2 deep; some tools add lists to its metadata.
    depthMax: 8,
    entriesMax: INDEX_TENSORS_MAX,
    fail: ({ reason, why, byte }) => {
      const kind = reason === 'key-twice' ? faults.keyTwice : faults.indexWrong;
      throw new FaultError(kind, { file: INDEX_FILE, byte, why });
    },
  });
  return isJsonObject(index) ? index : wrongIndex('it must be an object');
}

function wrongIndex(why: string, tensor?: string): never {
  const place = tensor === undefined ? {} : { tensor };
  throw new FaultError(faults.indexWrong, { file: INDEX_FILE, ...place, why });
}

function checkShardName(tensor: string, file: string): void {
  if (file.length <= FILE_NAME_BYTES_MAX && plainShardName.test(file)) return;
  const why = isPlainName(file, FILE_NAME_BYTES_MAX) ? file : 'its name cannot be shown';
  throw new FaultError(faults.shardNameWrong, { file: INDEX_FILE, tensor, why });
}

function totalBytes(index: JsonObject): number | undefined {
  const { metadata } = index;
  if (!isJsonObject(metadata)) return undefined;
  const { total_size: total } = metadata;
  return typeof total === 'number' ? total : undefined;
}

/**
 * Checks the index against the files that are there. A numbered file that the index does not name
 * is the rest of another release and refused; other tensor files are only mentioned.
 * @param present every .safetensors file at the top of SOURCE
 * @returns notices
 */
export function checkShardsPresent(index: ShardIndex, present: readonly string[]): string[] {
  const there = new Set(present);
  const missing = index.files.filter((file) => !there.has(file));
  if (missing[0] !== undefined) {
    const why = `${missing.length} of ${index.files.length} files are missing`;
    throw new FaultError(faults.shardMissing, { file: missing[0], why });
  }
  const named = new Set(index.files);
  const extra = present.filter((file) => !named.has(file));
  const numbered = extra.find((file) => numberedShardName.test(file));
  if (numbered !== undefined) throw new FaultError(faults.shardExtra, { file: shown(numbered) });
  return extra.map(notRead);
}

export interface MergedShards {
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  readonly unusable: ReadonlyMap<string, UnusableTensor>;
  readonly notices: readonly string[];
}

/**
 * The tensors of all files by name, in the order given.
 * @param index undefined for a checkpoint of one file
 * @throws FaultError when a name is in two files, or index and files do not name the same tensors
 */
export function mergeShards(
  shards: readonly (readonly (SourceTensor | UnusableTensor)[])[],
  index: ShardIndex | undefined,
): MergedShards {
  const all = new Map<string, SourceTensor | UnusableTensor>();
  for (const tensor of shards.flat()) {
    const earlier = all.get(tensor.name);
    if (earlier !== undefined) {
      const why = `${earlier.file} has it, too`;
      throw new FaultError(faults.tensorTwice, { file: tensor.file, tensor: tensor.name, why });
    }
    all.set(tensor.name, tensor);
  }
  const notices = index === undefined ? [] : compareWithIndex(all, index);
  const tensors = new Map<string, SourceTensor>();
  const unusable = new Map<string, UnusableTensor>();
  for (const [name, tensor] of all) {
    if (isUsable(tensor)) tensors.set(name, tensor);
    else unusable.set(name, tensor);
  }
  return { tensors, unusable, notices };
}

function compareWithIndex(
  all: ReadonlyMap<string, SourceTensor | UnusableTensor>,
  { fileOf, totalBytes }: ShardIndex,
): string[] {
  let bytes = 0;
  for (const [name, { file, bytes: tensorBytes }] of all) {
    const indexed = fileOf.get(name);
    if (indexed === undefined)
      throw new FaultError(faults.tensorNotIndexed, { file, tensor: name });
    if (indexed !== file) {
      const why = `the index says ${indexed}`;
      throw new FaultError(faults.tensorElsewhere, { file, tensor: name, why });
    }
    bytes += tensorBytes;
  }
  for (const [name, file] of fileOf) {
    if (!all.has(name)) throw new FaultError(faults.tensorMissing, { file, tensor: name });
  }
  if (totalBytes === undefined || totalBytes === bytes) return [];
  return [`${INDEX_FILE} says ${totalBytes} bytes of tensors, the files hold ${bytes}`];
}
