/**
 * Statistics view: the numbers of an importance matrix as the lines a person reads.
 *
 *   ImportanceStatistics ──▶ renderStatistics ──▶ lines, none wider than the terminal
 *
 * Columns are headed as llama-imatrix --show-statistics heads them; docs/imatrix.md says what they
 * mean.
 */

import type {
  ImportanceStatistics,
  LayerStatistics,
  TensorStatistics,
} from '../proto/importance-statistics.ts';
import { tableText } from './format.ts';
import { cut, printable } from './inspect-view.ts';

// Narrower than this no line of numbers fits, so lines are allowed to wrap.
const WIDTH_MIN = 100;

const HEADINGS = [
  'Layer',
  'Σ(Act²)',
  'Min',
  'Max',
  'μ',
  'σ',
  '% Active',
  'N',
  'Entropy',
  'E (norm)',
  'ZD',
  'CosSim',
  'Tensor',
] as const;

/** The lines: what file it is, its tensors, its layers. */
export function renderStatistics(statistics: ImportanceStatistics, width: number): string[] {
  const { file, datasets, chunks, chunkSize, tensors, layers } = statistics;
  const of = datasets.length === 0 ? 'texts that it does not name' : datasets.join(', ');
  const numbers = HEADINGS.slice(0, -1).map((_, column) => column);
  const lines = [
    `${file} · ${chunks} chunks of ${chunkSize} tokens · made of ${of}`,
    '',
    ...tableText([HEADINGS, ...tensors.map(tensorRow)], numbers),
    '',
    ...tableText([['Layer', 'Σ(Act²)', 'ZD', 'CosSim'], ...layers.map(layerRow)], [0, 1, 2, 3]),
  ];
  return lines.map((line) => cut(printable(line), Math.max(width, WIDTH_MIN)));
}

// The name comes last: it is the widest, and the one that can be cut without loss.
function tensorRow(tensor: TensorStatistics): string[] {
  return [
    tensor.layer === undefined ? '-' : String(tensor.layer),
    tensor.sum.toFixed(2),
    tensor.least.toFixed(4),
    tensor.most.toFixed(4),
    tensor.mean.toFixed(4),
    tensor.deviation.toFixed(4),
    percentText(tensor.active),
    String(tensor.columns),
    tensor.entropy.toFixed(4),
    percentText(tensor.evenness),
    percentText(tensor.outliers),
    similarityText(tensor.similarity),
    tensor.tensor,
  ];
}

function layerRow({ layer, sum, outliers, similarity }: LayerStatistics): string[] {
  return [String(layer), sum.toFixed(2), percentText(outliers), similarityText(similarity)];
}

function percentText(percent: number): string {
  return `${percent.toFixed(2)}%`;
}

function similarityText(similarity: number | undefined): string {
  return similarity === undefined ? '-' : similarity.toFixed(4);
}
