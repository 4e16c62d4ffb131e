/**
 * F32 GGUF: a model written plainly, every tensor as F32, to hand to llama.cpp.
 *
 *   Model + directory of its source ──▶ writeF32Gguf ──▶ a GGUF
 *
 * For tests only: it trusts no kernel, so that names, shapes, metadata and vocabulary are tried
 * alone. It widens element by element and holds the whole file in memory.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { Model, ModelTensor } from '../../daemon/core/models/family.ts';
import { assert } from '../../proto/assert.ts';

export function writeF32Gguf(model: Model, source: string, into: string): void {
  const { general, parameters, vocabulary, tensors } = model;
  const layout = layoutGguf({
    metadata: [...general, ...parameters, ...vocabulary],
    tensors: tensors.map(({ name, shape }) => ({ name, shape, type: 'F32' })),
  });
  const file = Buffer.alloc(layout.fileBytes);
  file.set(layout.header);
  const contents = new Map<string, Buffer>();
  const read = (name: string): Buffer => {
    const bytes = contents.get(name) ?? readFileSync(join(source, name));
    contents.set(name, bytes);
    return bytes;
  };
  for (const [place, { offset, bytes }] of layout.tensors.entries()) {
    const tensor = tensors[place];
    assert(tensor !== undefined, 'the layout has the tensors of the model');
    const numbers = numbersOf(tensor, read);
    assert(numbers.length * 4 === bytes, `${tensor.name} has as many numbers as its shape`);
    for (const [index, number] of numbers.entries()) file.writeFloatLE(number, offset + 4 * index);
  }
  writeFileSync(into, file);
}

function numbersOf({ name, source }: ModelTensor, read: (file: string) => Buffer): Float32Array {
  if (source.kind === 'generated') return source.values;
  assert(source.dtype !== 'F16', `${name} is F16, which these tests do not widen`);
  const width = source.dtype === 'F32' ? 4 : 2;
  const count = source.parts.reduce((sum, { bytes }) => sum + bytes / width, 0);
  const bits = new Uint32Array(count);
  let next = 0;
  for (const { file, offset, bytes } of source.parts) {
    const content = read(file);
    for (let at = offset; at < offset + bytes; at += width) {
      // A bf16 is the upper half of the binary32 of the same value.
      bits[next++] = width === 4 ? content.readUInt32LE(at) : content.readUInt16LE(at) * 2 ** 16;
    }
  }
  return new Float32Array(bits.buffer);
}
