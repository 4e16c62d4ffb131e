/**
 * Read-grids: the codebooks of IQ1, IQ2 and IQ3, read out of blocks that llama.cpp de-quantizes.
 *
 *   blocks that name grid point 0, 1, 2, … ──▶ libggml-base ──▶ values ──▶ codebook-grids.h
 *
 *   node kernels/read-grids.mjs > kernels/codebook-grids.h   (read next: codebooks.cpp)
 *
 * A codebook is a fact of the GGUF format: a reader has to have it to make sense of a block. Each
 * block here has a scale of 1, no signs, and one index in every group, so that the values are the
 * coordinates of that point.
 */

import path from 'node:path';
import koffi from 'koffi';

const library = koffi.load(
  path.join(
    import.meta.dirname,
    '../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so',
  ),
);

const HALF_ONE = 0x3c00;

/** The first group of elements of `block`, de-quantized. */
function firstGroup(type, block, size) {
  const values = new Float32Array(256);
  const dequantize = library.func(`dequantize_row_${type}`, 'void', ['void *', 'void *', 'int64']);
  dequantize(block, values, 256);
  return [...values.subarray(0, size)];
}

function blockWithScale(bytes) {
  const block = Buffer.alloc(bytes);
  block.writeUInt16LE(HALF_ONE, 0);
  return block;
}

// `place` writes the index of the block's first group; `values` are those of the levels 0, 1, ….
const grids = [
  {
    name: 'kIq2XxsGrid',
    type: 'iq2_xxs',
    count: 256,
    bits: 2,
    bytes: 66,
    values: [8, 25, 43].map((g) => g / 8),
    place: (block, index) => block.writeUInt8(index, 2),
  },
  {
    name: 'kIq2XsGrid',
    type: 'iq2_xs',
    count: 512,
    bits: 2,
    bytes: 74,
    values: [8, 25, 43].map((g) => g / 8),
    place: (block, index) => block.writeUInt16LE(index, 2),
  },
  {
    name: 'kIq2SGrid',
    type: 'iq2_s',
    count: 1024,
    bits: 2,
    bytes: 82,
    values: [8, 25, 43].map((g) => g / 8),
    place: (block, index) => {
      block.writeUInt8(index & 255, 2);
      block.writeUInt8(index >> 8, 66);
    },
  },
  {
    name: 'kIq1Grid',
    type: 'iq1_s',
    count: 2048,
    bits: 2,
    bytes: 50,
    values: [-1, 0, 1].map((g) => g + 0.125),
    place: (block, index) => {
      block.writeUInt8(index & 255, 2);
      block.writeUInt16LE(index >> 8, 34);
    },
  },
  {
    name: 'kIq3XxsGrid',
    type: 'iq3_xxs',
    count: 256,
    bits: 3,
    bytes: 98,
    values: [4, 12, 20, 28, 36, 44, 52, 62].map((g) => g / 4),
    place: (block, index) => block.writeUInt8(index, 2),
  },
  {
    name: 'kIq3SGrid',
    type: 'iq3_s',
    count: 512,
    bits: 3,
    bytes: 110,
    values: [1, 3, 5, 7, 9, 11, 13, 15],
    place: (block, index) => {
      block.writeUInt8(index & 255, 2);
      block.writeUInt8(index >> 8, 66);
    },
  },
];

/** A point as a number: the level of element i at bits `bits * i`. */
function readCode({ type, bits, bytes, values, place }, index) {
  const block = blockWithScale(bytes);
  place(block, index);
  return firstGroup(type, block, bits === 2 ? 8 : 4).reduce((code, value, i) => {
    const level = values.indexOf(value);
    if (level < 0) throw new Error(`${type} point ${index} has an element of ${value}`);
    return code | (level << (bits * i));
  }, 0);
}

function printGrid(grid) {
  const codes = Array.from({ length: grid.count }, (_, index) => readCode(grid, index));
  const lines = [];
  for (let i = 0; i < codes.length; i += 13) {
    lines.push(`    ${codes.slice(i, i + 13).join(', ')},`);
  }
  return `inline constexpr uint16_t ${grid.name}[${grid.count}] = {\n${lines.join('\n')}\n};\n`;
}

process.stdout.write(`// Codebook grids: the points that groups of levels of IQ1, IQ2 and IQ3 are rounded to.
//
// Read out of blocks de-quantized by llama.cpp, by
//   node kernels/read-grids.mjs > kernels/codebook-grids.h
// A point is a number, the level of element i at bits 2i (eight elements) or 3i (four elements);
// its place in the list is the index that a block stores.
#ifndef QUANTD_CODEBOOK_GRIDS_H_
#define QUANTD_CODEBOOK_GRIDS_H_

#include <stdint.h>

namespace quantd {

${grids.map(printGrid).join('\n')}
}  // namespace quantd

#endif
`);
