/**
 * Against llama.cpp: how far a forward pass is from it, layer by layer and from end to end.
 *
 *   Runnable, ForwardResult of the same chunk ──▶ compareFront, compareLayers ──▶ figures
 *   ChunkRun, ForwardResult of the same chunks ──▶ compareEndToEnd ──▶ figures
 *
 * Layer by layer each layer gets llama.cpp's own input, so that nothing piles up and a figure says
 * what one layer does. Read next: ../measure/llama-forward.ts; limits.ts; interpreter.ts and
 * ../measure/native-model.ts, which run the lists.
 */

import type { Forward, Layer, Register, StateRegister } from '../../daemon/core/models/forward.ts';
import { assert } from '../../proto/assert.ts';
import {
  compareStatistics,
  type Flip,
  findFlips,
  firstFlip,
  largestDifference,
  relativeRms,
  wrongArgmax,
} from '../measure/compare.ts';
import {
  type ForwardResult,
  type ForwardWant,
  nodePatterns,
  type Statistic,
} from '../measure/llama-forward.ts';
import {
  type ChunkRun,
  cutSlices,
  type LayerRun,
  type Registers,
  runFront,
  runLayer,
} from './interpreter.ts';
import type { Model } from './weights.ts';

/** All that the comparison wants of llama.cpp. */
export const wanted: ForwardWant = {
  hidden: true,
  inputs: '^blk',
  statistics: true,
  routing: true,
  logits: true,
  nodes: [nodePatterns.keys, nodePatterns.values, nodePatterns.perLayerInputs],
};

/** A model whose lists something carries out. */
export interface Runnable {
  readonly forward: Forward;
  runFront(ids: Int32Array): LayerRun | Promise<LayerRun>;
  /** @param given every register of the layer's `reads` and `inputs` */
  runLayer(layer: Layer, given: Registers): LayerRun | Promise<LayerRun>;
}

/** The model, carried out by the interpreter. */
export function interpreted(model: Model): Runnable {
  return {
    forward: model.forward,
    runFront: (ids) => runFront(model, ids),
    runLayer: (layer, given) => runLayer(model, layer, given),
  };
}

/** Relative distances of one layer, or of what stands before the first. */
export interface LayerFigures {
  /** Root mean square of what it leaves, of tokens that got the same experts. */
  readonly hidden: number;
  /** The largest of inputs of products that no gate has gone into. */
  readonly inputs: number;
  /** Router logits; 0 where there are none. */
  readonly router: number;
  /** The largest of the statistics' mean squares; without those of experts where a token got others. */
  readonly meanSquares: number;
  /** The same of their counts. */
  readonly counts: number;
  readonly flips: readonly Flip[];
}

/** @param theirs of the one chunk `ids`, with all that is `wanted` */
export async function compareFront(
  model: Runnable,
  ids: Int32Array,
  theirs: ForwardResult,
): Promise<LayerFigures> {
  const front = await model.runFront(ids);
  const hidden = relativeRms(must(front.registers.get('hidden')), must(theirs.embedding[0]));
  const { layers, front: described } = model.forward;
  const { slices } = described;
  const inputs = layers.map((_, first) => {
    if (slices === undefined) return 0;
    const numbers = must(front.registers.get(slices.from));
    const held = { first: 0, end: layers.length };
    const ours = cutSlices({ ...slices, numbers, held }, { first, end: first + 1 });
    return relativeRms(ours, perLayerInputs(theirs, first, ours.length));
  });
  return { hidden, inputs: Math.max(...inputs), router: 0, meanSquares: 0, counts: 0, flips: [] };
}

/** Each layer by itself. */
export async function compareLayers(
  model: Runnable,
  theirs: ForwardResult,
): Promise<LayerFigures[]> {
  const figures: LayerFigures[] = [];
  for (const [n, layer] of model.forward.layers.entries()) {
    const run = await model.runLayer(layer, theirInputs(model.forward, layer, n, theirs));
    figures.push(compareLayer(model.forward, n, run, theirs));
  }
  return figures;
}

function compareLayer(
  { layers, hiddenWidth }: Forward,
  n: number,
  run: LayerRun,
  theirs: ForwardResult,
): LayerFigures {
  const routing = theirs.routing[0]?.[n];
  const flips = routing === undefined ? [] : findFlips(run.experts, routing);
  const flipped = new Set(flips.map(({ token }) => token));
  const kept = (numbers: Float32Array): Float32Array =>
    numbers.filter((_, place) => !flipped.has(Math.floor(place / hiddenWidth)));
  const hidden = must(run.registers.get('hidden'));
  const router = run.registers.get('router');
  const ofLayer = [...theirs.statistics].filter(([name]) => name.startsWith(`blk.${n}.`));
  const statistics = compareStatistics(
    statisticsOf([must(layers[n])], [run]),
    new Map(ofLayer),
  ).filter((statistic) => flips.length === 0 || !isOfExperts(statistic));
  const distances = ungated(run, n).map((name) => inputDistance(run, theirs, name));
  return {
    hidden: relativeRms(kept(hidden), kept(must(theirs.hidden[0]?.[n]))),
    inputs: Math.max(...distances),
    router: router === undefined ? 0 : relativeRms(router, must(routing).logits),
    meanSquares: Math.max(...statistics.map(({ meanSquares }) => meanSquares)),
    counts: Math.max(...statistics.map(({ counts }) => counts)),
    flips,
  };
}

function isOfExperts({ name }: { readonly name: string }): boolean {
  return name.includes('_exps.');
}

function theirInputs(
  { hiddenWidth }: Forward,
  layer: Layer,
  n: number,
  theirs: ForwardResult,
): Registers {
  const given = new Map<Register, Float32Array>();
  const hidden = n === 0 ? theirs.embedding[0] : theirs.hidden[0]?.[n - 1];
  for (const state of layer.reads) {
    given.set(state.register, stateOf(state, theirs) ?? must(hidden));
  }
  const tokens = must(hidden).length / hiddenWidth;
  for (const { register, width } of layer.inputs) {
    given.set(register, perLayerInputs(theirs, n, tokens * width));
  }
  return given;
}

/** Keys and values of an earlier layer; undefined for the hidden state. */
function stateOf({ register }: StateRegister, theirs: ForwardResult): Float32Array | undefined {
  const [kind, source] = register.split('.');
  if (source === undefined) return undefined;
  return node(theirs, kind === 'keys' ? `Kcur_pos-${source}` : `Vcur_normed-${source}`);
}

function perLayerInputs(theirs: ForwardResult, n: number, length: number): Float32Array {
  const all = node(theirs, 'inp_per_layer (permuted) (cont)');
  return all.subarray(n * length, (n + 1) * length);
}

function node({ nodes }: ForwardResult, name: string): Float32Array {
  const values = nodes[0]?.find((candidate) => candidate.name === name)?.values;
  assert(values instanceof Float32Array, `llama.cpp computed ${name}`);
  return values;
}

/** Inputs that come before a gate; llama.cpp reads its GELU from a table in half precision. */
function ungated({ inputs }: LayerRun, n: number): string[] {
  const gated = ['ffn_down', 'inp_gate', 'proj'].map((name) => `blk.${n}.${name}.weight`);
  return [...inputs.keys()].filter((name) => !gated.includes(name));
}

function inputDistance({ inputs }: LayerRun, theirs: ForwardResult, name: string): number {
  return relativeRms(must(inputs.get(name)), must(theirs.inputs[0]?.get(name)?.values));
}

/** In the form that llama.cpp's are compared in: an entry for each name. */
export function statisticsOf(
  layers: readonly Layer[],
  runs: readonly LayerRun[],
): Map<string, Statistic> {
  const all = new Map<string, Statistic>();
  for (const [n, { statistics }] of layers.entries()) {
    for (const [index, { names, matrices, columns }] of statistics.entries()) {
      const { squares: sums, counts } = must(runs[n]?.statistics[index]);
      for (const name of names) all.set(name, { matrices, columns, sums, counts });
    }
  }
  return all;
}

export interface EndToEndFigures {
  /** Tokens of all chunks before the first of its chunk that any layer gave other experts. */
  readonly tokens: number;
  readonly flips: readonly Flip[];
  /** The largest difference of logits of those tokens. */
  readonly logits: number;
  /** Of those tokens, how many have their largest logit elsewhere without a near tie. */
  readonly wrongArgmax: number;
  /** The largest distance of mean squares, of experts and of all others; and of counts. */
  readonly experts: number;
  readonly others: number;
  readonly counts: number;
}

/**
 * All layers after one another.
 *
 * @param run of the chunks that `theirs` is of, one behind the other
 * @param tolerance of logits: two that are less than twice as far apart are a near tie
 */
export function compareEndToEnd(
  { layers }: Forward,
  run: ChunkRun,
  theirs: ForwardResult,
  tolerance: number,
): EndToEndFigures {
  const chunks = theirs.logits.map((_, chunk) => compareChunk(run, theirs, chunk, tolerance));
  const all = compareStatistics(statisticsOf(layers, run.layers), theirs.statistics);
  const largest = (figures: readonly number[]): number => Math.max(0, ...figures);
  const sum = (figures: readonly number[]): number => figures.reduce((a, b) => a + b, 0);
  const ofExperts = all.filter(isOfExperts);
  const ofOthers = all.filter((one) => !isOfExperts(one));
  return {
    tokens: sum(chunks.map(({ tokens }) => tokens)),
    flips: chunks.flatMap(({ flips }) => flips),
    logits: largest(chunks.map(({ logits }) => logits)),
    wrongArgmax: sum(chunks.map(({ wrongArgmax }) => wrongArgmax)),
    experts: largest(ofExperts.map(({ meanSquares }) => meanSquares)),
    others: largest(ofOthers.map(({ meanSquares }) => meanSquares)),
    counts: largest(all.map(({ counts }) => counts)),
  };
}

type ChunkFigures = Pick<EndToEndFigures, 'tokens' | 'flips' | 'logits' | 'wrongArgmax'>;

function compareChunk(
  run: ChunkRun,
  theirs: ForwardResult,
  chunk: number,
  tolerance: number,
): ChunkFigures {
  const { vocabulary } = theirs;
  const logits = must(theirs.logits[chunk]);
  const length = logits.length / vocabulary;
  const flips = run.layers.map(({ experts }, n) => {
    const routing = theirs.routing[chunk]?.[n];
    if (routing === undefined) return [];
    const from = chunk * length * routing.slots;
    return findFlips(experts.slice(from, from + length * routing.slots), routing);
  });
  const tokens = firstFlip(flips, length);
  const start = chunk * length * vocabulary;
  const ours = run.head.logits.subarray(start, start + tokens * vocabulary);
  const reference = logits.subarray(0, tokens * vocabulary);
  return {
    tokens,
    flips: flips.flat(),
    logits: largestDifference(ours, reference),
    wrongArgmax: wrongArgmax(ours, reference, { vocabulary, difference: tolerance }).length,
  };
}

function must<Value>(value: Value | undefined): Value {
  assert(value !== undefined, 'llama.cpp and the model have the same parts');
  return value;
}
