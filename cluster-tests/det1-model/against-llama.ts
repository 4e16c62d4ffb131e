/**
 * Against llama.cpp: how far the interpreter is from it, layer by layer and from end to end.
 *
 *   Model, ForwardResult of the same chunk ──▶ compareLayers, compareLogits ──▶ figures
 *
 * Layer by layer each layer gets llama.cpp's own input, so that nothing piles up and a figure says
 * what one layer does. Read next: ../measure/llama-forward.ts; interpreter.ts.
 */

import type { Layer, Register, StateRegister } from '../../daemon/core/models/forward.ts';
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
  runChunk,
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

/** Relative distances of one layer, or of what stands before the first. */
export interface LayerFigures {
  /** Root mean square of what it leaves, of tokens that got the same experts. */
  readonly hidden: number;
  /** The largest of inputs of products that no gate has gone into. */
  readonly inputs: number;
  /** Router logits; 0 where there are none. */
  readonly router: number;
  /** The largest of the statistics' mean squares, where no token got other experts. */
  readonly meanSquares: number;
  readonly flips: readonly Flip[];
}

/** @param theirs of the one chunk `ids`, with all that is `wanted` */
export function compareFront(model: Model, ids: Int32Array, theirs: ForwardResult): LayerFigures {
  const front = runFront(model, ids);
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
  return { hidden, inputs: Math.max(...inputs), router: 0, meanSquares: 0, flips: [] };
}

/** Each layer by itself. */
export function compareLayers(model: Model, theirs: ForwardResult): LayerFigures[] {
  return model.forward.layers.map((layer, n) => {
    const run = runLayer(model, layer, theirInputs(model, layer, n, theirs));
    const routing = theirs.routing[0]?.[n];
    const flips = routing === undefined ? [] : findFlips(run.experts, routing);
    const flipped = new Set(flips.map(({ token }) => token));
    const width = model.forward.hiddenWidth;
    const kept = (numbers: Float32Array): Float32Array =>
      numbers.filter((_, place) => !flipped.has(Math.floor(place / width)));
    const hidden = must(run.registers.get('hidden'));
    const router = run.registers.get('router');
    return {
      hidden: relativeRms(kept(hidden), kept(must(theirs.hidden[0]?.[n]))),
      inputs: Math.max(...ungated(run, n).map((name) => inputDistance(run, theirs, name))),
      router: router === undefined ? 0 : relativeRms(router, must(routing).logits),
      meanSquares: flips.length > 0 ? 0 : worst(statisticsOf([layer], [run]), theirs, n),
      flips,
    };
  });
}

function theirInputs(model: Model, layer: Layer, n: number, theirs: ForwardResult): Registers {
  const given = new Map<Register, Float32Array>();
  const hidden = n === 0 ? theirs.embedding[0] : theirs.hidden[0]?.[n - 1];
  for (const state of layer.reads) {
    given.set(state.register, stateOf(state, theirs) ?? must(hidden));
  }
  const tokens = must(hidden).length / model.forward.hiddenWidth;
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

function worst(ours: Map<string, Statistic>, theirs: ForwardResult, n: number): number {
  const ofLayer = [...theirs.statistics].filter(([name]) => name.startsWith(`blk.${n}.`));
  return compareStatistics(ours, new Map(ofLayer))[0]?.meanSquares ?? Number.NaN;
}

export interface EndToEndFigures {
  /** Tokens before the first that any layer gave other experts. */
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

export function compareEndToEnd(
  model: Model,
  ids: Int32Array,
  theirs: ForwardResult,
): EndToEndFigures & { readonly run: ChunkRun } {
  const run = runChunk(model, ids);
  const flips = run.layers.map(({ experts }, n) => {
    const routing = theirs.routing[0]?.[n];
    return routing === undefined ? [] : findFlips(experts, routing);
  });
  const tokens = firstFlip(flips, ids.length);
  const { vocabulary } = theirs;
  const ours = run.head.logits.subarray(0, tokens * vocabulary);
  const logits = must(theirs.logits[0]).subarray(0, tokens * vocabulary);
  const difference = largestDifference(ours, logits);
  const all = compareStatistics(statisticsOf(model.forward.layers, run.layers), theirs.statistics);
  const largest = (figures: readonly number[]): number => Math.max(0, ...figures);
  const isExperts = ({ name }: { readonly name: string }): boolean => name.includes('_exps.');
  return {
    run,
    tokens,
    flips: flips.flat(),
    logits: difference,
    wrongArgmax: wrongArgmax(ours, logits, { vocabulary, difference }).length,
    experts: largest(all.filter(isExperts).map(({ meanSquares }) => meanSquares)),
    others: largest(all.filter((one) => !isExperts(one)).map(({ meanSquares }) => meanSquares)),
    counts: largest(all.map(({ counts }) => counts)),
  };
}

function must<Value>(value: Value | undefined): Value {
  assert(value !== undefined, 'llama.cpp and the model have the same parts');
  return value;
}
