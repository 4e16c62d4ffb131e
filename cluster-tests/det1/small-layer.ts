/**
 * Small layer: one that has every operation, with weights of every type, in files.
 *
 *   directory ──▶ writeSmallLayer ──▶ layer, numbers, where they lie
 *
 * Sizes are odd where they may be, rows of a weight lie in two files at odd offsets, and there are
 * weights that mode B takes for zero. Read next: slow-layer.ts.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  Layer,
  Operation,
  TensorName,
  Weight,
  WeightType,
} from '../../daemon/core/models/forward.ts';
import type { PlacedWeight, WeightPiece } from '../../daemon/ports.ts';
import { toBits } from './binary32.ts';
import type { SlowModel } from './slow-layer.ts';

const HIDDEN = 37;
const HEADS = 4;
const KEY_HEADS = 2;
const HEAD = 6;
// More rows than a turn takes at a time, so that even one token is shared by threads.
const WIDE = 205;
const EXPERTS = 5;
const USED = 2;
const INNER = 7;
// One full block of logits and a short one.
const VOCABULARY = 270;

export const POSITIONS_MAX = 90;

const operations: Operation[] = [
  { kind: 'norm', into: 'normed', from: 'hidden', width: HIDDEN, weight: 'norm', epsilon: 1e-6 },
  { kind: 'collect', from: 'normed', statistic: 0 },
  { kind: 'product', into: 'queries', from: 'normed', weight: 'q' },
  { kind: 'rotate', into: 'queries', width: HEAD, table: 1 },
  { kind: 'product', into: 'keys', from: 'normed', weight: 'k' },
  { kind: 'product', into: 'values', from: 'normed', weight: 'v' },
  { kind: 'norm', into: 'keys', from: 'keys', width: HEAD, epsilon: 1e-6 },
  { kind: 'rotate', into: 'keys', width: HEAD, table: 1 },
  {
    ...{ kind: 'attention', into: 'queries', queries: 'queries', keys: 'keys', values: 'values' },
    ...{ heads: HEADS, keyHeads: KEY_HEADS, width: HEAD, window: 70, scale: 0.5 },
  },
  { kind: 'collect', from: 'queries', statistic: 1 },
  { kind: 'product', into: 'branch', from: 'queries', weight: 'o' },
  { kind: 'add', into: 'hidden', left: 'hidden', right: 'branch' },
  { kind: 'norm', into: 'normed', from: 'hidden', width: HIDDEN, weight: 'norm', epsilon: 1e-6 },
  { kind: 'product', into: 'gate', from: 'normed', weight: 'gate' },
  { kind: 'product', into: 'up', from: 'normed', weight: 'up' },
  { kind: 'gate', into: 'up', gate: 'gate', up: 'up', activation: 'silu' },
  { kind: 'product', into: 'branch', from: 'up', weight: 'down' },
  { kind: 'multiply', into: 'normed', weight: 'norm' },
  { kind: 'product', into: 'logits', from: 'normed', weight: 'router' },
  { kind: 'route', into: 'routing', logits: 'logits', used: USED, scales: 'scales' },
  {
    ...{ kind: 'experts', into: 'mixture', from: 'normed', routing: 'routing', used: USED },
    ...{ gateUp: 'gate_up_exps', down: 'down_exps', activation: 'gelu', statistics: [3, 2] },
  },
  { kind: 'scale', into: 'mixture', factor: 0.7 },
  { kind: 'add', into: 'branch', left: 'mixture', right: 'branch' },
  { kind: 'multiply', into: 'branch', weight: 'factor' },
  { kind: 'add', into: 'hidden', left: 'hidden', right: 'branch' },
  {
    ...{ kind: 'loss', into: 'loss', from: 'hidden', weight: 'output', targets: 'targets' },
    softcap: 30,
  },
];

const weight = (
  tensor: TensorName,
  type: WeightType,
  shape: readonly number[],
  isKeptF32 = false,
): Weight => ({ tensor, type, isKeptF32, shape });

const weights: Weight[] = [
  weight('norm', 'BF16', [HIDDEN]),
  weight('q', 'BF16', [HIDDEN, HEADS * HEAD]),
  weight('k', 'BF16', [HIDDEN, KEY_HEADS * HEAD]),
  weight('v', 'F16', [HIDDEN, KEY_HEADS * HEAD]),
  weight('o', 'BF16', [HEADS * HEAD, HIDDEN]),
  weight('gate', 'BF16', [HIDDEN, WIDE]),
  weight('up', 'F32', [HIDDEN, WIDE]),
  weight('down', 'BF16', [WIDE, HIDDEN]),
  weight('router', 'BF16', [HIDDEN, EXPERTS], true),
  weight('scales', 'F32', [EXPERTS]),
  weight('gate_up_exps', 'BF16', [HIDDEN, 2 * INNER, EXPERTS]),
  weight('down_exps', 'BF16', [INNER, HIDDEN, EXPERTS]),
  weight('factor', 'F16', [1]),
  weight('output', 'BF16', [HIDDEN, VOCABULARY]),
];

export const smallLayer: Layer = {
  operations,
  weights,
  statistics: [
    { names: ['q', 'k', 'v'], matrices: 1, columns: HIDDEN },
    { names: ['o'], matrices: 1, columns: HEADS * HEAD },
    { names: ['down_exps'], matrices: EXPERTS, columns: INNER },
    { names: ['gate_up_exps'], matrices: EXPERTS, columns: HIDDEN },
  ],
  registers: new Map([
    ...([
      ['normed', HIDDEN],
      ['queries', HEADS * HEAD],
      ['branch', HIDDEN],
    ] as const),
    ...([
      ['gate', WIDE],
      ['up', WIDE],
      ['logits', EXPERTS],
      ['routing', 2 * USED],
    ] as const),
    ...([['mixture', HIDDEN]] as const),
  ]),
  reads: [{ register: 'hidden', width: HIDDEN }],
  leaves: [
    { register: 'hidden', width: HIDDEN },
    { register: 'keys', width: KEY_HEADS * HEAD },
    { register: 'values', width: KEY_HEADS * HEAD },
    { register: 'loss', width: 3 },
  ],
  inputs: [{ register: 'targets', width: 1 }],
  multiplications: 0,
};

/** Numbers in (-1, 1), the same for the same seed. */
export function numbersOf(seed: number, count: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Bytes of numbers in a type, and what they stand for. */
function store(type: WeightType, numbers: Float32Array): [Uint8Array, Float32Array] {
  if (type === 'F32') return [new Uint8Array(numbers.buffer), numbers];
  const halves = new Uint16Array(numbers.length);
  const stored = numbers.map((number, index) => {
    if (type === 'BF16') {
      halves[index] = toBits(number) >>> 16;
      return new Float32Array(Uint32Array.of((halves[index] ?? 0) << 16).buffer)[0] ?? 0;
    }
    // Of (-1, 1), cut to ten bits behind 2^-4: exponent 11 or less by hand is not needed.
    const whole = Math.trunc(number * 1024);
    const size = Math.abs(whole);
    const exponent = size === 0 ? 0 : Math.floor(Math.log2(size));
    const mantissa = size === 0 ? 0 : (size / 2 ** exponent - 1) * 1024;
    const sign = whole < 0 ? 0x8000 : 0;
    halves[index] = size === 0 ? 0 : sign | ((exponent - 10 + 15) << 10) | mantissa;
    return whole / 1024;
  });
  return [new Uint8Array(halves.buffer), stored];
}

export interface SmallModel extends SlowModel {
  readonly placed: readonly PlacedWeight[];
}

/** Writes the weights into two files of the directory. */
export function writeSmallLayer(directory: string): SmallModel {
  // An odd beginning, so that nothing is aligned.
  const files = ['first', 'second'].map((name) => ({
    path: join(directory, name),
    bytes: [new Uint8Array(3)],
    size: 3,
  }));
  const numbers = new Map<TensorName, Float32Array>();
  const placed = weights.map((of, index): PlacedWeight => {
    const values = numbersOf(
      index,
      of.shape.reduce((a, b) => a * b),
    );
    // Below 2^-55, in some rows.
    if (of.tensor === 'gate') values.fill(2 ** -60, 40 * HIDDEN, 40 * HIDDEN + 5);
    const [bytes, stored] = store(of.type, values);
    numbers.set(of.tensor, stored);
    const rows = of.shape.slice(1).reduce((a, b) => a * b, 1);
    const rowBytes = bytes.length / rows;
    const cut = Math.floor(rows / 3);
    const pieces = files.flatMap((file, part): WeightPiece[] => {
      const [start, end] = part === 0 ? [0, cut] : [cut, rows];
      if (start === end) return [];
      const piece = { path: file.path, offset: file.size, rows: end - start };
      file.bytes.push(bytes.slice(start * rowBytes, end * rowBytes));
      file.size += (end - start) * rowBytes;
      return [piece];
    });
    return { weight: of, pieces };
  });
  for (const { path, bytes } of files) writeFileSync(path, Buffer.concat(bytes));
  const angles = numbersOf(99, (POSITIONS_MAX * HEAD) / 2);
  const table = { cosine: angles, sine: angles.map((a) => a / 2) };
  return { layer: smallLayer, numbers, tables: [table, table], placed };
}
