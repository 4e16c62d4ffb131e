/**
 * Open imatrix: reads an importance matrix, of either form, for the tensors of one model.
 *
 *   file ──▶ index (importance/gguf-entries.ts, dat-entries.ts) ──▶ numbers, entry by entry
 *        ──▶ Importance (core/importance/importance.ts)
 *
 * Numbers are read by their place in the file. Those of tensors that the model does not have are
 * checked and let go, so a file costs no more memory than the model's own weights need.
 */

import { FaultError } from '../../proto/fault.ts';
import {
  COUNT_BYTES,
  HEAD_BYTES_MAX,
  readEntryCount,
  readEntryHead,
  readTail,
  TAIL_BYTES_MAX,
} from '../core/importance/dat-entries.ts';
import {
  checkEntryName,
  chooseEntries,
  type EntryFilters,
  type ImportanceEntry,
  type ImportanceIndex,
  type NumberRange,
} from '../core/importance/entries.ts';
import { importanceFaults } from '../core/importance/faults.ts';
import { indexGguf } from '../core/importance/gguf-entries.ts';
import {
  type Importance,
  sentence,
  type TensorImportance,
  weightsWanted,
} from '../core/importance/importance.ts';
import { numberBytes, readNumbers, weightsOf } from '../core/importance/weights.ts';
import type { ModelTensor } from '../core/models/family.ts';
import type { Kernels } from '../ports.ts';
import { type FileReader, readGguf } from './inspect.ts';

export interface ImportanceRequest {
  /** Absolute. */
  readonly path: string;
  /** As the user wrote it. */
  readonly given: string;
  readonly filters: EntryFilters;
}

type WeightedTensor = Pick<ModelTensor, 'name' | 'originalName' | 'shape'>;

export interface ImportancePorts {
  readonly openFile: (path: string) => Promise<FileReader & { close(): Promise<void> }>;
  readonly splitPath: (path: string) => { file: string };
  readonly kernels: Pick<Kernels, 'sha256'>;
}

/**
 * @param tensors of the model
 * @throws FaultError QD-43xx, and QD-31xx for a damaged GGUF
 */
export async function openImatrix(
  { path, given, filters }: ImportanceRequest,
  tensors: readonly WeightedTensor[],
  ports: ImportancePorts,
): Promise<Importance> {
  const reader = await openFile(path, given, ports);
  try {
    const index = chooseEntries(await readIndex(reader, given), filters);
    const loading = new Loading(reader, given, tensors, ports);
    for (const entry of index.entries) await loading.load(entry);
    const { dataset, chunks } = index;
    return {
      file: ports.splitPath(path).file,
      given,
      entries: index.entries.length,
      dataset,
      chunks,
      ...loading.result(),
    };
  } finally {
    await reader.close();
  }
}

async function openFile(
  path: string,
  file: string,
  ports: ImportancePorts,
): ReturnType<ImportancePorts['openFile']> {
  try {
    return await ports.openFile(path);
  } catch (cause) {
    if (!(cause instanceof FaultError)) throw cause;
    const { why = 'there is no regular file' } = cause.detail;
    throw new FaultError(importanceFaults.fileMissing, { file, why }, { cause });
  }
}

async function readIndex(reader: FileReader, file: string): Promise<ImportanceIndex> {
  const magic = await readBytes(reader, 0, COUNT_BYTES);
  // As a number of entries these letters would be more than a billion.
  if (String.fromCharCode(...magic) === 'GGUF')
    return indexGguf(file, await readGguf(reader, file));
  return await readDatIndex(reader, file);
}

async function readDatIndex(reader: FileReader, file: string): Promise<ImportanceIndex> {
  const dat = { file, fileBytes: reader.bytes };
  const count = readEntryCount(dat, await readBytes(reader, 0, COUNT_BYTES));
  const entries: ImportanceEntry[] = [];
  const seen = new Set<string>();
  let offset = COUNT_BYTES;
  for (let i = 0; i < count; i++) {
    const head = await readBytes(reader, offset, HEAD_BYTES_MAX);
    const { entry, end } = readEntryHead(dat, offset, head);
    checkEntryName(file, entry.name, seen);
    entries.push(entry);
    offset = end;
  }
  const tail = readTail(dat, offset, await readBytes(reader, offset, TAIL_BYTES_MAX));
  return { entries, ...tail };
}

/** At most `bytes` bytes: fewer where the file ends before. */
async function readBytes(reader: FileReader, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(Math.min(bytes, reader.bytes - offset));
  if (into.length > 0) await reader.read(offset, into);
  return into;
}

/** Takes the entries one by one, and keeps what the model can use. */
class Loading {
  readonly #reader: FileReader;
  readonly #file: string;
  /** By the name that the file knows them by. */
  readonly #wanted: ReadonlyMap<string, WeightedTensor>;
  readonly #kernels: Pick<Kernels, 'sha256'>;
  readonly #tensors = new Map<string, TensorImportance>();
  readonly #misfits = new Map<string, { values: number; wanted: number }>();
  readonly #unknown: string[] = [];
  readonly #unmeasured: string[] = [];

  constructor(
    reader: FileReader,
    file: string,
    tensors: readonly WeightedTensor[],
    { kernels }: ImportancePorts,
  ) {
    this.#reader = reader;
    this.#file = file;
    this.#wanted = new Map(tensors.map((tensor) => [tensor.originalName ?? tensor.name, tensor]));
    this.#kernels = kernels;
  }

  /** Every entry is checked, the unknown too: llama-quantize refuses the file as a whole. */
  async load({ name, sums, divisor }: ImportanceEntry): Promise<void> {
    const weights = weightsOf({
      file: this.#file,
      tensor: name,
      sums: await this.#numbers(sums),
      divisor: divisor.kind === 'calls' ? divisor.calls : await this.#numbers(divisor.range),
    });
    const tensor = this.#wanted.get(name);
    if (tensor === undefined) {
      this.#unknown.push(name);
      return;
    }
    const { values, unmeasured } = weights;
    const wanted = weightsWanted(tensor.shape);
    if (values.length !== wanted) {
      this.#misfits.set(tensor.name, { values: values.length, wanted });
      return;
    }
    const slices = wanted / (tensor.shape[0] ?? 1);
    if (unmeasured > 0) this.#unmeasured.push(`${name} (${unmeasured} of ${slices})`);
    const digests = await this.#digests(values, slices);
    this.#tensors.set(tensor.name, { weights: values, digests });
  }

  result(): Pick<Importance, 'tensors' | 'misfits' | 'notices'> {
    return {
      tensors: this.#tensors,
      misfits: this.#misfits,
      notices: [
        ...sentence('the importance matrix has entries that are no tensors here:', this.#unknown),
        ...sentence(
          'no token of the calibration text reached some experts of',
          this.#unmeasured,
          'all their columns weigh 1',
        ),
      ],
    };
  }

  async #numbers({ offset, count }: NumberRange): Promise<Float32Array> {
    const bytes = new Uint8Array(4 * count);
    await this.#reader.read(offset, bytes);
    return readNumbers(bytes);
  }

  #digests(values: Float32Array, slices: number): Promise<Uint8Array[]> {
    const bytes = numberBytes(values);
    const each = bytes.length / slices;
    return Promise.all(
      Array.from({ length: slices }, (_, slice) =>
        this.#kernels.sha256(bytes.subarray(slice * each, (slice + 1) * each)),
      ),
    );
  }
}
