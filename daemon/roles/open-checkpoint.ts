/**
 * Opens a checkpoint: reads its small files and the headers of the large ones, never a tensor.
 *
 *   Source ──▶ openCheckpoint ──▶ Checkpoint + notices  (read next: core/models/family.ts)
 */

import { FaultError } from '../../proto/fault.ts';
import type {
  Checkpoint,
  JsonObject,
  SourceTensor,
  UnusableTensor,
} from '../core/checkpoint/checkpoint.ts';
import {
  CHAT_TEMPLATE_BYTES_MAX,
  CONFIG_BYTES_MAX,
  ConfigReader,
  parseJsonFile,
  parseTextFile,
  TOKENIZER_BYTES_MAX,
} from '../core/checkpoint/config.ts';
import { checkpointFaults as faults } from '../core/checkpoint/faults.ts';
import {
  HEADER_LENGTH_BYTES,
  parseSafetensorsHeader,
  readHeaderLength,
} from '../core/checkpoint/safetensors.ts';
import {
  checkShardsPresent,
  chooseTensorFiles,
  INDEX_BYTES_MAX,
  INDEX_FILE,
  mergeShards,
  parseShardIndex,
  type ShardIndex,
} from '../core/checkpoint/shard-index.ts';
import type { Source } from '../ports.ts';

export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** What the user should know and need not act on, one sentence each. */
  readonly notices: readonly string[];
}

/**
 * @throws FaultError when SOURCE is not a complete checkpoint, or a file of it is not strictly as
 * its format asks
 */
export async function openCheckpoint(
  source: Source,
  signal?: AbortSignal,
): Promise<OpenedCheckpoint> {
  const files = new TopFiles(source, await source.list(), signal);
  const chosen = chooseTensorFiles(files.names);
  const config = await files.json('config.json', CONFIG_BYTES_MAX);
  if (config === undefined) throw new FaultError(faults.configMissing);
  const tokenizerConfig = await readTokenizerFile(files, 'tokenizer_config.json', CONFIG_BYTES_MAX);
  const tokenizer = await readTokenizerFile(files, 'tokenizer.json', TOKENIZER_BYTES_MAX);
  const small = {
    config,
    generationConfig: await files.json('generation_config.json', CONFIG_BYTES_MAX),
    tokenizer,
    tokenizerConfig,
    chatTemplate: await readChatTemplate(files),
  };

  const index = chosen.sharded
    ? parseShardIndex(await files.bytes(INDEX_FILE, INDEX_BYTES_MAX))
    : undefined;
  const large = await readTensors(files, chosen.files, index);
  const notices = [...chosen.notices, ...codeNotices(files.names, small), ...large.notices];
  return { checkpoint: { ...small, ...large.parts }, notices };
}

async function readTensors(
  files: TopFiles,
  present: readonly string[],
  index: ShardIndex | undefined,
): Promise<{
  readonly parts: Pick<Checkpoint, 'files' | 'tensors' | 'unusable'>;
  readonly notices: readonly string[];
}> {
  const presentNotices = index === undefined ? [] : checkShardsPresent(index, present);
  const names = index?.files ?? present;
  const shards: (readonly (SourceTensor | UnusableTensor)[])[] = [];
  // One after the other: a hostile header may take 25 MB, and honest ones take no time.
  for (const file of names) shards.push(await files.header(file));
  const { tensors, unusable, notices } = mergeShards(shards, index);
  const sizes = names.map((file) => ({ file, bytes: files.size(file) }));
  return {
    parts: { files: sizes, tensors, unusable },
    notices: [...presentNotices, ...notices],
  };
}

async function readTokenizerFile(
  files: TopFiles,
  file: string,
  bytesMax: number,
): Promise<JsonObject> {
  const found = await files.json(file, bytesMax);
  if (found !== undefined) return found;
  const hasModel = files.names.includes('tokenizer.model');
  const why = hasModel ? 'tokenizer.model alone is not enough' : undefined;
  throw new FaultError(faults.tokenizerMissing, { file, ...(why === undefined ? {} : { why }) });
}

async function readChatTemplate(files: TopFiles): Promise<string | undefined> {
  const jinja = 'chat_template.jinja';
  if (files.names.includes(jinja)) {
    return parseTextFile(jinja, await files.bytes(jinja, CHAT_TEMPLATE_BYTES_MAX));
  }
  const json = 'chat_template.json';
  const found = await files.json(json, CHAT_TEMPLATE_BYTES_MAX);
  return found === undefined ? undefined : new ConfigReader(json, found).string('chat_template');
}

/** A checkpoint may bring code along for other programs; none of it ever runs here. */
function codeNotices(
  names: readonly string[],
  { config, tokenizerConfig }: Pick<Checkpoint, 'config' | 'tokenizerConfig'>,
): string[] {
  const code = names.filter((name) => name.endsWith('.py')).length;
  const noticed: [boolean, string][] = [
    [Object.hasOwn(config, 'auto_map'), 'config.json names code of its own (auto_map); ignored'],
    [
      Object.hasOwn(tokenizerConfig, 'auto_map'),
      'tokenizer_config.json names code of its own (auto_map); ignored',
    ],
    [code > 0, `${code} Python ${code === 1 ? 'file is' : 'files are'} not run`],
  ];
  return noticed.filter(([applies]) => applies).map(([, notice]) => notice);
}

/** The files at the top of a source, read whole or by their header. */
class TopFiles {
  readonly names: readonly string[];
  readonly #source: Source;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #signal: AbortSignal | undefined;

  constructor(
    source: Source,
    entries: Awaited<ReturnType<Source['list']>>,
    signal: AbortSignal | undefined,
  ) {
    const top = entries.filter(({ file }) => !file.includes('/'));
    this.names = top.map(({ file }) => file);
    this.#sizes = new Map(top.map(({ file, bytes }) => [file, bytes]));
    this.#source = source;
    this.#signal = signal;
  }

  size(file: string): number {
    return this.#sizes.get(file) ?? 0;
  }

  async bytes(file: string, bytesMax: number): Promise<Uint8Array> {
    const bytes = this.size(file);
    if (bytes > bytesMax) {
      const why = `${bytes} bytes, where ${bytesMax} are allowed`;
      throw new FaultError(faults.fileTooLarge, { file, why });
    }
    return await this.#read(file, 0, bytes);
  }

  async json(file: string, bytesMax: number): Promise<JsonObject | undefined> {
    if (!this.#sizes.has(file)) return undefined;
    return parseJsonFile(file, await this.bytes(file, bytesMax));
  }

  async header(file: string): Promise<readonly (SourceTensor | UnusableTensor)[]> {
    const fileBytes = this.size(file);
    const start = await this.#read(file, 0, Math.min(fileBytes, HEADER_LENGTH_BYTES));
    const headerBytes = readHeaderLength(start, file, fileBytes);
    const header = await this.#read(file, HEADER_LENGTH_BYTES, headerBytes);
    return parseSafetensorsHeader(file, fileBytes, header);
  }

  async #read(file: string, offset: number, bytes: number): Promise<Uint8Array> {
    const into = new Uint8Array(bytes);
    await this.#source.read(file, offset, into, this.#signal);
    return into;
  }
}
