/**
 * Layer memory: what the forward pass of a layer takes, before its weights are anywhere near.
 *
 *   Layer + tokens + threads ──▶ scratchBytesMost ──▶ bytes that are enough
 *
 * The executor says exactly what it takes once it has the weights (kernels/executor.cpp, WaveMemory).
 * This follows its parts, each with the most that any instruction set asks for, so that what is
 * promised with it is kept.
 */

import type { Layer, Operation, Weight } from '../models/forward.ts';
import { planRegisters } from '../models/registers.ts';

export interface WaveSize {
  readonly chunks: number;
  /** Tokens a chunk. */
  readonly positions: number;
  readonly threads: number;
}

const FLOAT_BYTES = 4;
const POINTER_BYTES = 8;
// Tokens that are packed together, and those of the widest panel.
const SPAN_TOKENS = 256;
const PANEL_TOKENS_MAX = 32;
// Queries of a block of attention, the tiles beside them, and the numbers behind each of its rows.
const QUERIES = 64;
const SCORE_STRIDE = 80;
const ATTENTION_TILES = 65_536;
// Keys behind the last token that a tile of scores may reach: more than any has.
const SPARE_KEYS = 512;
// Rows of a batch of experts, and the experts of a batch whose last panel is a short one.
const BATCH_ROWS = 1024;
const SHORT_PANELS = 64;
// Logits of a token at a time.
const LOGIT_BLOCK = 256;
// Every part begins at a cache line, and kernels write whole lines behind what they leave.
const ALIGNMENT_BYTES = 65_536;

/** At least what `scratchBytes` of the prepared layer says, and not half as much again. */
export function scratchBytesMost(layer: Layer, size: WaveSize): number {
  const { chunks, positions, threads } = size;
  const tokens = chunks * positions;
  const weights = new Map(layer.weights.map((weight) => [weight.tensor, weight]));
  const of = layer.operations.map((operation) => operationBytes(operation, weights, size));
  const most = (part: keyof Parts): number => Math.max(0, ...of.map((parts) => parts[part]));
  return (
    FLOAT_BYTES * planRegisters(layer).width * tokens +
    threads * (POINTER_BYTES * (positions + 2 * SPAN_TOKENS) + 2048) +
    most('packed') +
    threads * (most('logits') + most('attention')) +
    most('experts') +
    ALIGNMENT_BYTES
  );
}

interface Parts {
  readonly packed: number;
  readonly logits: number;
  readonly attention: number;
  readonly experts: number;
}

const nothing: Parts = { packed: 0, logits: 0, attention: 0, experts: 0 };

function operationBytes(
  operation: Operation,
  weights: ReadonlyMap<string, Weight>,
  size: WaveSize,
): Parts {
  const tokens = size.chunks * size.positions;
  switch (operation.kind) {
    case 'product':
      return { ...nothing, packed: packedBytes(tokens, columnsOf(weights, operation.weight)) };
    case 'loss': {
      const logits = FLOAT_BYTES * Math.min(SPAN_TOKENS, tokens) * LOGIT_BLOCK;
      return {
        ...nothing,
        packed: packedBytes(tokens, columnsOf(weights, operation.weight)),
        logits,
      };
    }
    case 'attention': {
      const scores = (size.positions + SPARE_KEYS) * SCORE_STRIDE;
      const attention = FLOAT_BYTES * (QUERIES * operation.width + scores + ATTENTION_TILES);
      return { ...nothing, attention };
    }
    case 'experts':
      return { ...nothing, experts: expertsBytes(operation, weights, size) };
    default:
      return nothing;
  }
}

/** Whole spans; a number takes four bytes where it is multiplied in binary32. */
function packedBytes(tokens: number, columns: number): number {
  const span = Math.min(SPAN_TOKENS, tokens);
  return Math.ceil(tokens / span) * panelBytes(span, columns);
}

function panelBytes(tokens: number, columns: number): number {
  const panels = Math.ceil(tokens / PANEL_TOKENS_MAX);
  return FLOAT_BYTES * panels * PANEL_TOKENS_MAX * (columns + 2);
}

function expertsBytes(
  { gateUp, down, used }: Extract<Operation, { kind: 'experts' }>,
  weights: ReadonlyMap<string, Weight>,
  { chunks, positions }: WaveSize,
): number {
  const hidden = columnsOf(weights, gateUp);
  const inner = columnsOf(weights, down);
  const experts = weights.get(down)?.shape[2] ?? 1;
  const assignments = chunks * positions * used;
  const rows = Math.min(Math.max(BATCH_ROWS, positions), assignments);
  const short = Math.min(SHORT_PANELS, experts);
  const packed = (columns: number): number =>
    packedBytes(rows, columns) + short * panelBytes(1, columns);
  const numbers = rows * (3 * inner + hidden);
  // Token and row of each, cells of experts and chunks, pairs and segments of a batch.
  const places = 8 * assignments + 64 * (experts * chunks + rows);
  return FLOAT_BYTES * numbers + packed(hidden) + packed(inner) + places;
}

function columnsOf(weights: ReadonlyMap<string, Weight>, tensor: string): number {
  return weights.get(tensor)?.shape[0] ?? 0;
}
