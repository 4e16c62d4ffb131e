/**
 * Size label: the few characters a file name carries for the size of a model, such as 31B.
 *
 *   tensors + number of experts ──▶ sizeLabel ──▶ "31B" or "128x2.6B"
 *
 * It is `general.size_label` of a GGUF, a heuristic for people; nothing is computed from it.
 */

import type { ModelTensor } from './family.ts';

const units = [
  { letter: 'T', elements: 1e12 },
  { letter: 'B', elements: 1e9 },
  { letter: 'M', elements: 1e6 },
  { letter: 'K', elements: 1e3 },
] as const;

/**
 * The elements that come from the checkpoint, rounded to two digits at least; with experts it is
 * `<experts>x<size>`, the size being that of the model with one expert in each layer.
 */
export function sizeLabel(tensors: readonly ModelTensor[], experts: number): string {
  let elements = 0;
  for (const { name, shape, source } of tensors) {
    if (source.kind === 'generated') continue;
    const count = elementsOf(shape);
    elements += experts > 1 && name.includes('_exps.') ? count / experts : count;
  }
  return experts > 1 ? `${experts}x${rounded(elements)}` : rounded(elements);
}

/** Number of elements of a tensor. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function rounded(elements: number): string {
  const unit = units.find((candidate) => elements >= candidate.elements) ?? units[3];
  const size = elements / unit.elements;
  // One digit says too little about a small number: 2.6B is not 3B.
  return `${size.toFixed(size < 9.5 ? 1 : 0)}${unit.letter}`;
}
