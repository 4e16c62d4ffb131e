/**
 * Model: a made-up model with its source bytes, its importance and the outputs wanted of it.
 *
 *   dice ──▶ inventModel ──▶ tensors, source files, outputs ──▶ planRun
 *
 * Small, so that thousands fit in a minute, but with all that plans differ by: layers, experts in
 * several parts and files, generated numbers, blocks that are copied, types shared by outputs.
 */

import type { SourceDtype, SourceTensor } from '../../daemon/core/checkpoint/checkpoint.ts';
import { type BlockTypeName, blockTypes, rowBytes } from '../../daemon/core/gguf/block-types.ts';
import { layoutGguf, quantizedOrder } from '../../daemon/core/gguf/layout.ts';
import type { TensorImportance } from '../../daemon/core/importance/importance.ts';
import type { ModelTensor } from '../../daemon/core/models/family.ts';
import { bytesOf, type OutputRequest, type Plan, planRun } from '../../daemon/core/plan/plan.ts';
import { tensorRows } from '../../daemon/core/plan/row-groups.ts';
import type { Dice } from './dice.ts';
import { sha256, sha256Hex } from './sha256.ts';

export interface InventedModel {
  readonly tensors: readonly ModelTensor[];
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly importance: ReadonlyMap<string, TensorImportance>;
  readonly outputs: readonly OutputRequest[];
  readonly plan: Plan;
}

/** Tensors of a megabyte and more take several leaves and are much slower to simulate. */
export function inventModel(dice: Dice, isLarge: boolean): InventedModel {
  const files = new SourceWriter(dice, isLarge);
  const tensors = isLarge ? largeTensors(files) : smallTensors(dice, files);
  const importance = dice.chance(0.5) ? inventImportance(dice, tensors) : new Map();
  const outputs = Array.from({ length: dice.between(1, 3) }, (_, index) =>
    inventOutput(dice, tensors, index),
  );
  const bytes = files.finish();
  const fileDigests = new Map([...bytes].map(([file, content]) => [file, sha256Hex(content)]));
  const plan = planRun({ tensors, outputs, fileDigests, importance, sha256 });
  return { tensors, files: bytes, importance, outputs, plan };
}

/** Lays tensors' parts in a few files, with a gap before some of them. */
class SourceWriter {
  readonly #dice: Dice;
  readonly #parts = new Map<string, Uint8Array[]>();
  readonly #ends = new Map<string, number>();
  readonly #files: number;

  constructor(dice: Dice, isLarge: boolean) {
    this.#dice = dice;
    this.#files = isLarge ? 1 : dice.between(1, 3);
  }

  add(bytes: Uint8Array): { file: string; offset: number; bytes: number } {
    const file = `model-${this.#dice.between(1, this.#files)}.safetensors`;
    const parts = this.#parts.get(file) ?? [];
    this.#parts.set(file, parts);
    const gap = this.#dice.chance(0.2) ? this.#dice.bytes(8 * this.#dice.between(1, 4)) : undefined;
    if (gap !== undefined) parts.push(gap);
    const offset = (this.#ends.get(file) ?? 0) + (gap?.length ?? 0);
    parts.push(bytes);
    this.#ends.set(file, offset + bytes.length);
    return { file, offset, bytes: bytes.length };
  }

  finish(): Map<string, Uint8Array> {
    return new Map([...this.#parts].map(([file, parts]) => [file, Buffer.concat(parts)]));
  }

  /** A tensor of a checkpoint whose slices are cut into `parts`. */
  checkpoint(
    name: string,
    shape: readonly number[],
    parts: number,
    dtype: SourceDtype = 'BF16',
  ): ModelTensor {
    const { columns, rowsPerSlice, slices } = tensorRows(shape);
    const bytes = (columns * rowsPerSlice * slices * (dtype === 'F32' ? 4 : 2)) / parts;
    const made = Array.from({ length: parts }, (_, part): SourceTensor => {
      const range = this.add(this.#dice.bytes(bytes));
      return { ...range, name: `${name}.${part}`, dtype, shape: [] };
    });
    const source = { kind: 'checkpoint', dtype, parts: made } as const;
    return { name, shape, keepF32: shape.length === 1, source };
  }

  /** A tensor of a GGUF in blocks, whose scales are all finite. */
  blocks(name: string, shape: readonly number[], dtype: BlockTypeName): ModelTensor {
    const { columns, rowsPerSlice, slices } = tensorRows(shape);
    const bytes = this.#dice.bytes(rowBytes(dtype, columns) * rowsPerSlice * slices);
    // No exponent of a half is all ones without the bits that this clears.
    const finite = bytes.map((byte) => byte & 0x3f);
    const source = { kind: 'gguf', dtype, parts: [this.add(finite)], shard: 0 } as const;
    return { name, shape, keepF32: false, source };
  }
}

function smallTensors(dice: Dice, files: SourceWriter): ModelTensor[] {
  const columns = dice.pick([32, 64, 256]);
  const tensors: ModelTensor[] = [];
  if (dice.chance(0.5)) {
    const values = Float32Array.from({ length: 32 }, (_, index) => 1 / (1 + index));
    const source = { kind: 'generated', values } as const;
    tensors.push({ name: 'rope_freqs.weight', shape: [32], keepF32: true, source });
  }
  const rows = (): number => dice.between(1, 6);
  tensors.push(files.checkpoint('token_embd.weight', [columns, rows()], 1));
  const experts = dice.chance(0.6) ? dice.between(2, 8) : 0;
  for (let layer = dice.skewed(1, 5); layer > 0; layer--) {
    tensors.push(...layerTensors(dice, files, { at: `blk.${layer - 1}`, columns, experts }));
  }
  if (dice.chance(0.5)) tensors.push(files.checkpoint('output_norm.weight', [columns], 1, 'F32'));
  if (dice.chance(0.5)) tensors.push(files.checkpoint('output.weight', [columns, rows()], 1));
  return tensors;
}

function layerTensors(
  dice: Dice,
  files: SourceWriter,
  { at, columns, experts }: { at: string; columns: number; experts: number },
): ModelTensor[] {
  const tensors = [files.checkpoint(`${at}.attn_norm.weight`, [columns], 1, 'F32')];
  for (const name of ['attn_q', 'ffn_up', 'ffn_down'].slice(0, dice.between(1, 3))) {
    const shape = [columns, dice.between(1, 6)];
    const isBlocks = dice.chance(0.15);
    tensors.push(
      isBlocks
        ? files.blocks(`${at}.${name}.weight`, shape, dice.pick(['Q8_0', 'Q4_0']))
        : files.checkpoint(`${at}.${name}.weight`, shape, 1, dice.pick(['BF16', 'F16', 'F32'])),
    );
  }
  if (experts === 0) return tensors;
  const rows = dice.between(1, 6);
  const parts = dice.pick([1, experts, 2 * experts]);
  // Every part holds whole elements.
  const isWhole = (columns * rows * experts) % parts === 0;
  const shape = [columns, rows, experts];
  tensors.push(files.checkpoint(`${at}.ffn_up_exps.weight`, shape, isWhole ? parts : experts));
  return tensors;
}

function largeTensors(files: SourceWriter): ModelTensor[] {
  return [
    files.checkpoint('token_embd.weight', [256, 3000], 1),
    files.checkpoint('blk.0.ffn_up_exps.weight', [256, 2200, 2], 1),
    files.checkpoint('blk.0.ffn_down.weight', [256, 5000], 4),
  ];
}

function inventImportance(
  dice: Dice,
  tensors: readonly ModelTensor[],
): Map<string, TensorImportance> {
  const weighted = tensors.filter(({ shape }) => shape.length > 1 && dice.chance(0.8));
  return new Map(
    weighted.map(({ name, shape }) => {
      const { columns, slices } = tensorRows(shape);
      const weights = Float32Array.from({ length: columns * slices }, () => dice.between(0, 99));
      const digests = Array.from({ length: slices }, (_, slice) =>
        sha256(bytesOf(weights.subarray(slice * columns, (slice + 1) * columns))),
      );
      return [name, { weights, digests }];
    }),
  );
}

// Types of every kind: plain, small blocks, large blocks; with and without use for importance.
const wideTypes: readonly BlockTypeName[] = ['BF16', 'F16', 'F32'];
const blockedTypes: readonly BlockTypeName[] = ['Q8_0', 'Q4_0', 'Q5_1', 'IQ4_NL', 'Q4_K', 'Q6_K'];

function inventOutput(dice: Dice, tensors: readonly ModelTensor[], index: number): OutputRequest {
  const main = dice.pick(blockedTypes);
  const types = new Map<string, BlockTypeName>();
  for (const tensor of tensors) types.set(tensor.name, typeOf(dice, tensor, main));
  const placed = quantizedOrder(tensors).map(({ name, shape }) => ({
    name,
    shape,
    type: types.get(name) ?? 'F32',
  }));
  const value = { type: 'u32', value: index } as const;
  const layout = layoutGguf({ metadata: [{ key: 'simulated.output', value }], tensors: placed });
  return { file: `model-${index}.gguf`, layout, types };
}

function typeOf(dice: Dice, { shape, source }: ModelTensor, main: BlockTypeName): BlockTypeName {
  const columns = shape[0] ?? 1;
  if (shape.length === 1) return 'F32';
  if (source.kind === 'gguf' && dice.chance(0.5)) return source.dtype;
  const wanted = dice.chance(0.7) ? main : dice.pick([...wideTypes, ...blockedTypes]);
  return columns % blockTypes[wanted].blockElements === 0 ? wanted : 'Q8_0';
}
