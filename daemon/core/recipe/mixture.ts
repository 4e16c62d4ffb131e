/**
 * Mixture: which tensors of an ftype get a better (or worse) type than its default.
 *
 *   ftype, category, place in the model ──▶ Mixture.typeFor ──▶ block type before the shape fallback
 *
 * The tables are those of llama.cpp v0.5.0's quantizer, measured on the program itself; the first
 * row that fits wins, and no row means the default type. All divisions are of integers.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { BlockTypeName } from '../gguf/block-types.ts';
import { blockTypes } from '../gguf/block-types.ts';
import type { ModelShape } from '../models/family.ts';
import { type Category, isValueLike, layerOf } from './categories.ts';
import { recipeFaults } from './faults.ts';
import type { Ftype, FtypeName } from './ftypes.ts';

/** What a row may ask about a tensor and its model. */
interface Place {
  readonly model: ModelShape;
  readonly hasImportance: boolean;
  /** How many tensors of this kind came before, or the layer where the model has experts. */
  readonly index: number;
  /** What `index` runs to: value-like tensors for those, layers for the feed-forward. */
  readonly of: number;
}

type Condition = (place: Place) => boolean;

interface Row {
  /** Undefined fits every ftype. */
  readonly ftypes?: readonly FtypeName[];
  /** All must hold. */
  readonly when?: readonly Condition[];
  readonly type: BlockTypeName;
}

type Table = Readonly<Partial<Record<Category, readonly Row[]>>>;

const eighth = ({ of }: Place) => Math.floor(of / 8);
const lastEighth = ({ of }: Place) => Math.floor((7 * of) / 8);

const firstEighth: Condition = (place) => place.index < eighth(place);
const firstSixteenth: Condition = ({ index, of }) => index < Math.floor(of / 16);
const middle: Condition = (place) => !firstEighth(place) && place.index < lastEighth(place);
/** Both ends of the model, and every third layer between them. */
const moreBits: Condition = (place) => !middle(place) || (place.index - eighth(place)) % 3 === 2;

/** At least four query heads share a value head, so that its bits cost little. */
const sharedValues: Condition = ({ model }) => headsPerValue(model) >= 4;
const sharedValuesOrExperts: Condition = (place) => sharedValues(place) || place.model.experts >= 4;
/** Mixtral's number: there attention is small beside the experts. */
const eightExperts: Condition = ({ model }) => model.experts === 8;
const falcon: Condition = ({ model }) => model.architecture === 'falcon';
const withImportance: Condition = ({ hasImportance }) => hasImportance;
const not =
  (condition: Condition): Condition =>
  (place) =>
    !condition(place);
const either =
  (...conditions: readonly Condition[]): Condition =>
  (place) =>
    conditions.some((condition) => condition(place));
const before =
  (index: number): Condition =>
  (place) =>
    place.index < index;

/** Ftypes of about two bits and less; they have tables of their own. */
const lowest = ['IQ1_S', 'IQ1_M', 'IQ2_XXS', 'IQ2_XS', 'IQ2_S', 'IQ2_M'] as const;
const upperTwoBit = ['IQ2_S', 'IQ2_M'] as const;

const embeddingRows: readonly Row[] = [
  { ftypes: ['IQ2_XXS', 'IQ2_XS', 'IQ1_S', 'IQ1_M'], type: 'Q2_K' },
  { ftypes: ['IQ2_S', 'IQ2_M', 'IQ3_XXS'], type: 'IQ3_S' },
  { ftypes: ['TQ1_0', 'TQ2_0', 'Q2_0'], type: 'Q4_K' },
];

const lowestValueRows: readonly Row[] = [
  { when: [sharedValuesOrExperts], type: 'Q4_K' },
  { ftypes: upperTwoBit, type: 'IQ3_S' },
  { type: 'Q2_K' },
];

const lowestTable: Table = {
  embedding: embeddingRows,
  value: lowestValueRows,
  qkv: lowestValueRows,
  'kv-b': lowestValueRows,
  key: [{ when: [eightExperts], type: 'Q4_K' }],
  down: [
    { ftypes: upperTwoBit, when: [firstEighth], type: 'IQ3_S' },
    { when: [firstEighth], type: 'Q2_K' },
  ],
  'attention-output': [
    { when: [eightExperts], type: 'Q5_K' },
    { ftypes: ['IQ1_S', 'IQ1_M'], type: 'IQ2_XXS' },
    { ftypes: upperTwoBit, type: 'IQ3_S' },
  ],
};

const valueRows: readonly Row[] = [
  { ftypes: ['Q2_K', 'Q2_K_S', 'IQ3_XXS', 'IQ3_XS', 'IQ3_S'], when: [sharedValues], type: 'Q4_K' },
  { ftypes: ['Q2_K'], type: 'Q3_K' },
  { ftypes: ['IQ3_XXS'], when: [not(withImportance)], type: 'IQ3_S' },
  { ftypes: ['IQ3_M'], type: 'Q4_K' },
  { ftypes: ['Q3_K_M'], when: [before(2)], type: 'Q5_K' },
  { ftypes: ['Q3_K_M'], type: 'Q4_K' },
  { ftypes: ['Q3_K_L'], type: 'Q5_K' },
  { ftypes: ['IQ4_NL', 'IQ4_XS'], when: [sharedValues], type: 'Q5_K' },
  { ftypes: ['Q4_K_M', 'Q5_K_M'], when: [moreBits], type: 'Q6_K' },
  { ftypes: ['Q4_K_S'], when: [before(4)], type: 'Q5_K' },
];

const queryRows: readonly Row[] = [
  { ftypes: ['IQ3_XS'], type: 'IQ3_XXS' },
  { ftypes: ['IQ3_XXS'], type: 'IQ2_S' },
];

const middleRows: readonly Row[] = [{ ftypes: ['IQ3_XS'], when: [middle], type: 'IQ3_XXS' }];

const downRows: readonly Row[] = [
  { ftypes: ['Q2_K'], type: 'Q3_K' },
  { ftypes: ['Q2_K_S'], when: [firstEighth], type: 'Q4_K' },
  { ftypes: ['IQ3_XXS'], when: [not(withImportance), firstEighth], type: 'Q4_K' },
  { ftypes: ['IQ3_XXS'], when: [not(withImportance)], type: 'Q3_K' },
  { ftypes: ['Q3_K_M'], when: [firstSixteenth], type: 'Q5_K' },
  { ftypes: ['Q3_K_M'], when: [either(not(falcon), moreBits)], type: 'Q4_K' },
  { ftypes: ['IQ3_M'], when: [firstEighth], type: 'Q4_K' },
  { ftypes: ['IQ3_M'], when: [eightExperts, moreBits], type: 'Q4_K' },
  { ftypes: ['Q3_K_L'], when: [falcon], type: 'Q4_K' },
  { ftypes: ['Q3_K_L'], type: 'Q5_K' },
  { ftypes: ['Q4_K_M'], when: [falcon, firstSixteenth], type: 'Q6_K' },
  { ftypes: ['Q4_K_M'], when: [falcon, moreBits], type: 'Q5_K' },
  { ftypes: ['Q4_K_M'], when: [not(falcon), moreBits], type: 'Q6_K' },
  { ftypes: ['IQ4_NL', 'IQ4_XS'], when: [not(withImportance), firstEighth], type: 'Q5_K' },
  { ftypes: ['Q5_K_M'], when: [moreBits], type: 'Q6_K' },
  { ftypes: ['Q4_K_S'], when: [not(falcon), firstEighth], type: 'Q5_K' },
  { ftypes: ['Q4_0'], when: [withImportance, firstEighth], type: 'Q4_1' },
  { ftypes: ['Q5_0'], when: [withImportance, firstEighth], type: 'Q5_1' },
];

const eightExpertsOutput: readonly FtypeName[] = [
  ...(['Q2_K', 'Q3_K_S', 'Q3_K_M', 'Q4_K_S', 'Q4_K_M'] as const),
  ...(['IQ3_XXS', 'IQ3_XS', 'IQ3_S', 'IQ3_M', 'IQ4_NL', 'IQ4_XS'] as const),
];

const attentionOutputRows: readonly Row[] = [
  { ftypes: ['Q3_K_L'], when: [falcon], type: 'Q4_K' },
  { ftypes: eightExpertsOutput, when: [not(falcon), eightExperts], type: 'Q5_K' },
  { ftypes: ['Q2_K'], when: [not(falcon), not(eightExperts)], type: 'Q3_K' },
  { ftypes: ['IQ3_XXS'], when: [not(falcon), not(eightExperts)], type: 'IQ3_S' },
  { ftypes: ['Q3_K_M', 'IQ3_M'], when: [not(falcon), not(eightExperts)], type: 'Q4_K' },
  { ftypes: ['Q3_K_L'], when: [not(falcon), not(eightExperts)], type: 'Q5_K' },
];

const table: Table = {
  embedding: embeddingRows,
  value: valueRows,
  qkv: valueRows,
  'kv-b': valueRows,
  key: [{ when: [eightExperts], type: 'Q8_0' }, ...queryRows],
  query: queryRows,
  down: downRows,
  'attention-output': attentionOutputRows,
  gate: middleRows,
  up: middleRows,
};

/** Models of about 70 billion weights with shared value heads, by architecture and layers. */
const seventyBillion: Readonly<Record<string, number>> = {
  llama: 80,
  qwen2: 80,
  jais2: 68,
  deci: 80,
};

export interface MixtureModel {
  readonly shape: ModelShape;
  readonly hasImportance: boolean;
  /** Value-like tensors in the whole file. */
  readonly valueLike: number;
  /** No `output.weight` in the file: the embedding is the output too. */
  readonly tied: boolean;
}

/** Walks the tensors of one file in output order; every call counts its tensor. */
export class Mixture {
  readonly #model: MixtureModel;
  readonly #ftype: Ftype;
  readonly #seen = new Map<Category | 'value-like', number>();

  constructor(model: MixtureModel, ftype: Ftype) {
    this.#model = model;
    this.#ftype = ftype;
  }

  /**
   * The type of the next tensor the rules decide. Tensors with an override are not shown to it,
   * and so are not counted.
   * @throws FaultError layerUnknown in a model with experts
   */
  typeFor(name: string, shape: readonly number[], category: Category): BlockTypeName {
    if (category === 'output' || (category === 'embedding' && this.#model.tied)) {
      return this.#outputType(shape);
    }
    // Whole experts take the format's blocks; everything else is kept near its source.
    if (this.#ftype.name === 'MXFP4_MOE') return (shape[2] ?? 1) > 1 ? 'MXFP4' : 'Q8_0';
    return this.#tableType(name, category);
  }

  #outputType(shape: readonly number[]): BlockTypeName {
    const { name, type } = this.#ftype;
    const wholeBlocks = (shape[0] ?? 1) % blockTypes[type].blockElements === 0;
    if (name === 'MXFP4_MOE' || !wholeBlocks) return 'Q8_0';
    if (this.#model.shape.architecture === 'falcon') return 'Q8_0';
    if (isLowest(name) || name === 'IQ3_XXS') return 'Q5_K';
    return type === 'Q8_0' ? type : 'Q6_K';
  }

  #tableType(name: string, category: Category): BlockTypeName {
    const low = isLowest(this.#ftype.name);
    const place = this.#place(name, category, low);
    const rows = (low ? lowestTable : table)[category] ?? [];
    const type = rows.find((row) => fits(row, this.#ftype.name, place))?.type ?? this.#ftype.type;
    return !low && isValueLike(category) ? raiseValues(type, place) : type;
  }

  #place(name: string, category: Category, low: boolean): Place {
    const { shape: model, hasImportance, valueLike } = this.#model;
    const counter = isValueLike(category) ? 'value-like' : category;
    const seen = this.#seen.get(counter) ?? 0;
    this.#seen.set(counter, seen + 1);

    // Experts may stand in several tensors of a layer, so there the name tells the layer. The
    // tables of the lowest ftypes count all the same, although it moves their borders.
    const byName = isFeedForward(category) && model.experts > 1 && !low;
    const index = byName ? layerWithin(name, model.layers) : seen;
    return { model, hasImportance, index, of: isValueLike(category) ? valueLike : model.layers };
  }
}

function isLowest(ftype: FtypeName): boolean {
  return lowest.some((name) => name === ftype);
}

function isFeedForward(category: Category): boolean {
  return category === 'down' || category === 'gate' || category === 'up';
}

function fits({ ftypes, when }: Row, ftype: FtypeName, place: Place): boolean {
  if (ftypes !== undefined && !ftypes.includes(ftype)) return false;
  return when === undefined || when.every((condition) => condition(place));
}

/** Value projections of large models and of those with eight experts are small: better types. */
function raiseValues(type: BlockTypeName, place: Place): BlockTypeName {
  if (eightExperts(place)) return 'Q8_0';
  const low = type === 'Q3_K' || type === 'Q4_K';
  return low && isSeventyBillion(place.model) ? 'Q5_K' : type;
}

function isSeventyBillion({ architecture, layers, heads, kvHeads }: ModelShape): boolean {
  if (!Object.hasOwn(seventyBillion, architecture)) return false;
  // An 80-layer llama without shared value heads is the 65B of the first generation.
  const shared = architecture !== 'llama' || heads !== kvHeads;
  return seventyBillion[architecture] === layers && shared;
}

/** How many query heads share a value head; 0 where a model has no value heads. */
function headsPerValue({ heads, kvHeads }: ModelShape): number {
  return kvHeads > 0 ? Math.floor(heads / kvHeads) : 0;
}

function layerWithin(name: string, layers: number): number {
  const layer = layerOf(name);
  if (layer === undefined || layer >= layers) {
    const why =
      layer === undefined ? 'it does not begin with blk.N.' : `there are ${layers} layers`;
    throw new FaultError(recipeFaults.layerUnknown, { tensor: name, why });
  }
  return layer;
}
