import { expect, test } from 'vitest';
import type { ImportanceStatistics, TensorStatistics } from '../proto/importance-statistics.ts';
import { renderStatistics } from './statistics-view.ts';

const tensor: TensorStatistics = {
  tensor: 'blk.1.attn_q.weight',
  layer: 1,
  columns: 2816,
  sum: 1234.567,
  least: 0.00012,
  most: 87.5,
  mean: 0.4384,
  deviation: 2.25,
  active: 99.96,
  entropy: 9.876,
  evenness: 86.2,
  outliers: 3.125,
  similarity: 0.98765,
};
const { similarity: _, layer: __, ...apart } = tensor;
const statistics: ImportanceStatistics = {
  file: 'imatrix.gguf',
  datasets: ['calibration.txt', 'second.txt'],
  chunks: 125,
  chunkSize: 512,
  tensors: [tensor, { ...apart, tensor: 'output.weight', columns: 4 }],
  layers: [
    { layer: 0, sum: 12, outliers: 1 },
    { layer: 1, sum: 1234.567, outliers: 3.125, similarity: 0.98765 },
  ],
};

test('statistics read like this', () => {
  expect(renderStatistics(statistics, 160)).toEqual([
    'imatrix.gguf · 125 chunks of 512 tokens · made of calibration.txt, second.txt',
    '',
    'Layer  Σ(Act²)     Min      Max       μ       σ  % Active     N  Entropy  E (norm)     ZD  CosSim  Tensor',
    '    1  1234.57  0.0001  87.5000  0.4384  2.2500    99.96%  2816   9.8760    86.20%  3.13%  0.9877  blk.1.attn_q.weight',
    '    -  1234.57  0.0001  87.5000  0.4384  2.2500    99.96%     4   9.8760    86.20%  3.13%       -  output.weight',
    '',
    'Layer  Σ(Act²)     ZD  CosSim',
    '    0    12.00  1.00%       -',
    '    1  1234.57  3.13%  0.9877',
  ]);
});

test('no name recolours the terminal or pushes a line past its edge', () => {
  const lines = renderStatistics(
    {
      ...statistics,
      datasets: ['\u001b[31m', 'x'.repeat(300)],
      tensors: [{ ...tensor, tensor: `a\u202e${'b'.repeat(200)}` }],
    },
    120,
  );
  for (const line of lines) {
    expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect([...line].length).toBeLessThanOrEqual(120);
  }
});
