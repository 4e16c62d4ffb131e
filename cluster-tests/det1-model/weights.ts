/**
 * Weights: a small checkpoint, whole in memory, in binary32.
 *
 *   directory ──▶ loadModel ──▶ Model: its lists of operations and its weights by name
 */

import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import type { SourceDtype } from '../../daemon/core/checkpoint/checkpoint.ts';
import { describeModel, forwardOf } from '../../daemon/core/models/families.ts';
import type { ModelTensor } from '../../daemon/core/models/family.ts';
import type { Forward, TensorName } from '../../daemon/core/models/forward.ts';
import type { Source } from '../../daemon/ports.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { assert } from '../../proto/assert.ts';

export interface Model {
  readonly forward: Forward;
  /** Every weight, widened. */
  readonly values: ReadonlyMap<TensorName, Float32Array>;
}

/** @param directory a checkpoint that fits into memory some times over */
export async function loadModel(directory: string): Promise<Model> {
  const hashFile = () => Promise.reject(new Error('nothing is hashed to read weights'));
  const source = await openSourceDirectory(directory, { hashFile });
  try {
    const { checkpoint } = await openCheckpoint(source);
    const values = new Map<TensorName, Float32Array>();
    for (const tensor of describeModel(checkpoint, directory).tensors) {
      values.set(tensor.name, await readTensor(source, tensor));
    }
    return { forward: forwardOf(checkpoint), values };
  } finally {
    await source.close();
  }
}

async function readTensor(source: Source, { name, source: from }: ModelTensor) {
  if (from.kind === 'generated') return from.values;
  assert(from.kind === 'checkpoint', `${name} is of a GGUF`);
  const parts: Float32Array[] = [];
  for (const { file, offset, bytes } of from.parts) {
    const part = new Uint8Array(bytes);
    await source.read(file, offset, part);
    parts.push(widen(part, from.dtype));
  }
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}

function widen(bytes: Uint8Array, dtype: SourceDtype): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  const codes = new Uint16Array(bytes.buffer);
  if (dtype === 'F16') return Float32Array.from(codes, widenF16);
  return new Float32Array(Uint32Array.from(codes, (code) => code << 16).buffer);
}

function widenF16(code: number): number {
  const exponent = (code >>> 10) & 0x1f;
  const fraction = (code & 0x3ff) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return code & 0x8000 ? -size : size;
}
