/**
 * Hashes: what every operation makes of its samples, in the order of kernels/forward-self-test.cpp.
 *
 *   samples ──▶ operations ──▶ SHA-256 of each operation's results
 */

import { createHash } from 'node:crypto';
import { add, fma, multiply } from './binary32.ts';
import * as det1 from './operations.ts';
import { SampleSource, type Spread } from './samples.ts';

type Add = (numbers: ArrayBufferView) => void;
type Operation = (samples: SampleSource, add: Add) => void;

const counts = [1, 7, 16, 37, 70];
const usual: Spread = { lowest: 118, count: 12 };
const finite: Spread = { lowest: 0, count: 255 };
const aroundOne: Spread = { lowest: 120, count: 14 };
const subnormal: Spread = { lowest: 0, count: 3 };
const even: Spread = { lowest: 126, count: 2 };
const small: Spread = { lowest: 90, count: 20 };
const blunt: Spread = { lowest: 122, count: 6 };
const sharp: Spread = { lowest: 126, count: 6 };
const huge: Spread = { lowest: 200, count: 40 };
const tiny: Spread = { lowest: 62, count: 20 };

/** Rows of `width` numbers that begin `stride` numbers apart. */
const rowsOf = (numbers: Float32Array, stride: number, width: number): Float32Array[] =>
  Array.from({ length: numbers.length / stride }, (_, row) =>
    numbers.subarray(row * stride, row * stride + width),
  );

const hashExp: Operation = (samples, hash) => {
  const edges = Uint32Array.of(
    ...[0, 0x80000000, 0xc2ae0000, 0xc2ae0001, 0x42b00000],
    ...[0x42b00001, 0x7f800000, 0xff800000, 1, 0x80000001],
  );
  hash(new Float32Array(edges.buffer).map(det1.exp));
  for (const spread of [aroundOne, finite]) hash(samples.numbers(1000, spread).map(det1.exp));
};

const hashGate =
  (activation: (x: number) => number): Operation =>
  (samples, hash) => {
    for (const spread of [usual, aroundOne, finite]) {
      for (const count of counts) {
        const gate = samples.numbers(count, spread);
        const up = samples.numbers(count, usual);
        hash(gate.map((x, i) => multiply(activation(x), up[i] ?? 0)));
      }
    }
  };

const hashNorm: Operation = (samples, hash) => {
  const gap = 2;
  for (const spread of [usual, even, subnormal, huge]) {
    for (const width of counts) {
      const numbers = samples.numbers(5 * (width + gap), spread);
      const weight = samples.numbers(width, usual);
      const rows = rowsOf(numbers, width + gap, width);
      for (const row of rows) hash(det1.norm(row, weight, 1e-6));
      for (const row of rows) row.set(det1.norm(row, undefined, 1e-6));
      hash(numbers);
    }
  }
};

const hashRotate: Operation = (samples, hash) => {
  for (const half of counts) {
    const row = samples.numbers(3 * 2 * half, usual);
    const cosine = samples.numbers(half, aroundOne);
    const sine = samples.numbers(half, aroundOne);
    for (const head of rowsOf(row, 2 * half, 2 * half)) det1.rotate(head, cosine, sine);
    hash(row);
  }
};

interface Shape {
  readonly positions: number;
  readonly width: number;
  readonly window: number;
  readonly scale: number;
}

/** `spread`: of queries and keys. */
function headOf(
  samples: SampleSource,
  hash: Add,
): (shape: Shape, spread: Spread, ofValues: Spread) => void {
  return (shape: Shape, spread: Spread, ofValues: Spread): void => {
    const { positions, width, window, scale } = shape;
    const stride = width + 3;
    const numbers = samples.numbers(positions * stride, spread);
    const queries = rowsOf(numbers, stride, width);
    const keys = rowsOf(samples.numbers(positions * stride, spread), stride, width);
    const values = rowsOf(samples.numbers(positions * stride, ofValues), stride, width);
    const head = { queries, keys, values, window, scale };
    for (const [position, row] of queries.entries()) row.set(det1.attention(head, position));
    hash(numbers);
  };
}

const hashAttention: Operation = (samples, hash) => {
  const hashHead = headOf(samples, hash);
  for (const positions of [1, 5, 17, 64, 70]) {
    for (const window of [0, 1, 3, 20, 69]) {
      const width = window === 0 ? 33 : 6;
      hashHead({ positions, width, window, scale: 1 }, blunt, usual);
    }
    hashHead({ positions, width: 16, window: 0, scale: 0.25 }, sharp, usual);
    hashHead({ positions, width: 33, window: 0, scale: 1 }, sharp, { lowest: 0, count: 1 });
  }
  hashHead({ positions: 67, width: 141, window: 0, scale: 0.125 }, blunt, usual);
  hashHead({ positions: 150, width: 8, window: 0, scale: 0.5 }, blunt, usual);
  hashHead({ positions: 150, width: 8, window: 75, scale: 0.5 }, blunt, usual);
};

const hashRoute: Operation = (samples, hash) => {
  for (const ties of [false, true]) {
    for (const experts of [5, 16, 40, 128]) {
      for (const used of [1, 2, 5]) {
        const logits = ties ? samples.ties(experts) : samples.numbers(experts, aroundOne);
        const scales = samples.numbers(experts, usual);
        const routing = det1.route(logits, used, undefined);
        hash(routing.probabilities);
        hash(Uint32Array.from(routing.chosen));
        hash(Float32Array.from(routing.weights));
        hash(Float32Array.from(det1.route(logits, used, scales).weights));
      }
    }
  }
};

const hashElements: Operation = (samples, hash) => {
  for (const count of counts) {
    let sum = samples.numbers(count, usual);
    const other = samples.numbers(count, usual);
    const pass = (step: (x: number, y: number) => number): void => {
      sum = sum.map((x, i) => step(x, other[i] ?? 0));
      hash(sum);
    };
    const weight = samples.number(usual);
    pass((x, y) => fma(weight, y, x));
    pass(add);
    const factor = samples.number(usual);
    pass((x) => multiply(x, factor));
    pass(multiply);
  }
};

/** Whether all sums are good, and then the whole numbers of 128 bits. */
function hashFixedPoint(hash: Add, sums: Float64Array): void {
  const fixed = [...sums].map(det1.fixedPoint);
  const good = fixed.filter((whole) => whole !== undefined);
  const isGood = good.length === sums.length;
  hash(Uint8Array.of(isGood ? 1 : 0));
  const halves = new BigUint64Array(2 * sums.length);
  for (const [i, whole] of (isGood ? good : []).entries()) {
    halves.set([whole & 0xffffffffffffffffn, whole >> 64n], 2 * i);
  }
  hash(halves);
}

const hashSquares: Operation = (samples, hash) => {
  for (const spread of [usual, small, finite]) {
    for (const tokens of [1, 4, 9]) {
      for (const columns of [1, 37, 515]) {
        const rows = rowsOf(samples.numbers(tokens * columns, spread), columns, columns);
        const sums = det1.squares(rows, columns);
        hash(sums);
        hashFixedPoint(hash, sums);
      }
    }
  }
};

const hashLogSum: Operation = (samples, hash) => {
  for (const softcap of [0, 30]) {
    for (const count of [1, 15, 255, 256]) {
      const raw = samples.numbers(count, aroundOne);
      const logits = softcap === 0 ? raw : raw.map((z) => det1.softcap(z, softcap));
      hash(logits);
      const { largest, sum } = det1.logSum(logits);
      hash(Float32Array.of(largest, sum));
    }
  }
};

type WeightType = 'F32' | 'F16' | 'BF16';

/** One number of each row of the output is not written. */
function productRow(
  type: WeightType,
  weights: readonly Float32Array[],
  x: Float32Array,
): Float32Array {
  const product = type === 'BF16' ? det1.productB : det1.productA;
  return Float32Array.of(...weights.map((row) => product(row, x)), 0);
}

function hashProducts(samples: SampleSource, hash: Add, spread: Spread, type: WeightType): void {
  for (const tokens of [1, 3, 33]) {
    for (const columns of [1, 6, 67]) {
      const count = 13 * columns;
      const rows = rowsOf(samples.numbers(tokens * columns, spread), columns, columns);
      const weights = {
        F32: () => samples.numbers(count, spread),
        F16: () => samples.halves(count),
        BF16: () => samples.bfloat16s(count, spread),
      }[type]();
      const needsFlush = weights.some((w) => w !== 0 && det1.flush(w) === 0);
      if (type === 'BF16') hash(Uint8Array.of(needsFlush ? 1 : 0));
      const weightRows = rowsOf(weights, columns, columns);
      for (const row of rows) hash(productRow(type, weightRows, row));
    }
  }
}

/** In the order that gives each one its samples. */
export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['exp', hashExp],
  ['gelu', hashGate(det1.gelu)],
  ['silu', hashGate(det1.silu)],
  ['norm', hashNorm],
  ['rotate', hashRotate],
  ['attention', hashAttention],
  ['route', hashRoute],
  ['elements', hashElements],
  ['squares', hashSquares],
  ['log-sum', hashLogSum],
  [
    'product F32',
    (samples, hash) => {
      hashProducts(samples, hash, usual, 'F32');
      hashProducts(samples, hash, { lowest: 40, count: 45 }, 'F32');
    },
  ],
  ['product F16', (samples, hash) => hashProducts(samples, hash, usual, 'F16')],
  [
    'product BF16',
    (samples, hash) => {
      hashProducts(samples, hash, usual, 'BF16');
      hashProducts(samples, hash, tiny, 'BF16');
    },
  ],
]);

/** The SHA-256 of what an operation makes, in hexadecimal. */
export function hashOperation(name: string): string {
  const operation = operations.get(name);
  const place = [...operations.keys()].indexOf(name);
  const digest = createHash('sha256');
  operation?.(new SampleSource(place), (numbers) => {
    const { buffer, byteOffset, byteLength } = numbers;
    digest.update(new Uint8Array(buffer, byteOffset, byteLength));
  });
  return digest.digest('hex');
}
