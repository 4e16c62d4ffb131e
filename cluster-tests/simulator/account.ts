/**
 * Account: what a run must come to, reckoned without the plan, the schedule or the assembler.
 *
 *   made-up model + layouts ──▶ every byte of every output ──▶ compared whenever a name is given
 */

import { blockTypes, rowBytes } from '../../daemon/core/gguf/block-types.ts';
import type { ModelTensor } from '../../daemon/core/models/family.ts';
import type { OutputRequest } from '../../daemon/core/plan/plan.ts';
import { tensorRows } from '../../daemon/core/plan/row-groups.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import type { DiskWitness } from './false-disk.ts';
import { falseBlocks } from './false-kernels.ts';
import type { InventedModel } from './model.ts';
import { sha256Hex } from './sha256.ts';
import { Violation } from './violation.ts';

export class Account {
  /** By file: its bytes from the first to the last. */
  readonly expected: ReadonlyMap<string, Uint8Array>;
  /** By disk: files that have their names there now. */
  readonly named: Map<string, Set<string>> = new Map();
  /** Bytes that left a machine for another, by kind of blob. */
  readonly sentBytes: Map<BlobName['kind'], number> = new Map();
  readonly #sent = new Map<string, number>();

  constructor(model: Pick<InventedModel, 'tensors' | 'files' | 'importance' | 'outputs'>) {
    this.expected = new Map(
      model.outputs.map((output) => [output.file, expectedBytes(output, model)]),
    );
  }

  /** What is to be told of one machine's disk. */
  witnessOf(disk: string): Pick<DiskWitness, 'named' | 'cut' | 'removed'> {
    return {
      named: (...told) => this.#seeNamed(disk, ...told),
      // The power failed: what still has its name is told next.
      cut: () => this.named.delete(disk),
      removed: (file) => this.named.get(disk)?.delete(file),
    };
  }

  /** @throws Violation unless the bytes are those the file must have and it gets its name once */
  #seeNamed(
    disk: string,
    file: string,
    bytes: Uint8Array,
    how: 'sealed' | 'written' | 'cut',
  ): void {
    const expected = this.expected.get(file);
    if (expected === undefined) throw new Violation(`${file} is no output`);
    const at = firstDifference(expected, bytes);
    if (at !== undefined) {
      throw new Violation(`${file} (${how}) is wrong from byte ${at} of ${expected.length}`);
    }
    const named = this.named.get(disk) ?? new Set();
    if (how === 'sealed' && named.has(file)) throw new Violation(`${file} is sealed twice`);
    this.named.set(disk, named.add(file));
  }

  /** What the user is told of a finished file. */
  seeDigest(output: number, digest: string): void {
    const expected = [...this.expected.values()][output] ?? new Uint8Array(0);
    if (sha256Hex(expected) !== digest)
      throw new Violation(`output ${output} is said to be ${digest}`);
  }

  readonly seeSent = (blob: BlobName, bytes: number): void => {
    this.sentBytes.set(blob.kind, (this.sentBytes.get(blob.kind) ?? 0) + bytes);
    if (blob.kind !== 'source') return;
    const key = `${blob.fileDigest} ${blob.offset} ${blob.bytes}`;
    this.#sent.set(key, (this.#sent.get(key) ?? 0) + bytes);
  };

  /** Pieces of the source of which more was sent than there is. */
  sentAgain(): string[] {
    return [...this.#sent].flatMap(([key, bytes]) =>
      bytes > Number(key.split(' ')[2]) ? [key] : [],
    );
  }

  /** Whether every output lies on one of these disks. */
  isComplete(disks: readonly string[]): boolean {
    const named = new Set(disks.flatMap((disk) => [...(this.named.get(disk) ?? [])]));
    return named.size === this.expected.size;
  }
}

function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  if (Buffer.compare(a, b) === 0) return undefined;
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? a.length : at;
}

function expectedBytes(
  { layout, types }: OutputRequest,
  model: Pick<InventedModel, 'tensors' | 'files' | 'importance'>,
): Uint8Array {
  const bytes = new Uint8Array(layout.fileBytes);
  bytes.set(layout.header);
  for (const { name, offset } of layout.tensors) {
    const tensor = model.tensors.find((candidate) => candidate.name === name);
    const type = types.get(name);
    if (tensor === undefined || type === undefined) throw new Violation(`${name} is no tensor`);
    bytes.set(expectedTensor(tensor, type, model), offset);
  }
  return bytes;
}

function expectedTensor(
  tensor: ModelTensor,
  type: keyof typeof blockTypes,
  { files, importance }: Pick<InventedModel, 'files' | 'importance'>,
): Uint8Array {
  const { source, shape, name } = tensor;
  const element = source.kind === 'generated' ? 'F32' : source.dtype;
  const whole =
    source.kind === 'generated'
      ? new Uint8Array(source.values.buffer)
      : Buffer.concat(
          source.parts.map(({ file, offset, bytes }) =>
            (files.get(file) ?? new Uint8Array(0)).subarray(offset, offset + bytes),
          ),
        );
  if (element === type && blockTypes[type].quantized) return whole;
  const { columns, rowsPerSlice, slices } = tensorRows(shape);
  const sliceBytes = rowsPerSlice * rowBytes(element, columns);
  const weights = importance.get(name)?.weights;
  return Buffer.concat(
    Array.from({ length: slices }, (_, slice) =>
      falseBlocks(
        whole.subarray(slice * sliceBytes, (slice + 1) * sliceBytes),
        element,
        columns,
        type,
        weights?.subarray(slice * columns, (slice + 1) * columns),
      ),
    ),
  );
}
