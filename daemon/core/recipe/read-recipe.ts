/**
 * Read recipe: the plain values of a recipe's file as a recipe, or all that is wrong with them.
 *
 *   plain values ──▶ recipeFile (proto) ──▶ names, types, patterns, mixes ──▶ Recipe | FaultError[]
 *
 * Read next: canonical.ts, the way back.
 */

import { FaultError } from '../../../proto/fault.ts';
import {
  PATTERNS_MAX,
  type RecipeFile,
  type RecipeFileOutput,
} from '../../../proto/recipe-file.ts';
import { quoted } from '../models/quoted.ts';
import { parseBlockType, parseFtype } from './ftypes.ts';
import { explainUnknown } from './nearest-names.ts';
import { type TensorType, tensorTypeOf } from './overrides.ts';
import {
  calibrationFields,
  calibrationKeys,
  defaultCalibration,
  type Recipe,
  type RecipeCalibration,
  type RecipeOutput,
} from './recipe.ts';
import { recipeFileFaults as faults } from './recipe-file-faults.ts';
import { checkSchema, type Place } from './recipe-schema.ts';
import type { Path } from './toml-lines.ts';
import { defaultOptions } from './type-rules.ts';

export type RecipeReading =
  | { readonly recipe: Recipe; readonly unusedMixes: readonly string[] }
  | { readonly recipe: undefined; readonly faults: readonly FaultError[] };

/**
 * @param document what a TOML or JSON parser made of the file
 * @param place where things stand in it, for the faults
 */
export function readRecipe(document: unknown, place: Place): RecipeReading {
  const checked = checkSchema(document, place);
  if ('faults' in checked) return { recipe: undefined, faults: inOrder(checked.faults) };
  const reader = new Reader(checked.file, place);
  const recipe = reader.read();
  if (reader.faults.length > 0) return { recipe: undefined, faults: inOrder(reader.faults) };
  return { recipe, unusedMixes: reader.unusedMixes() };
}

/** As a reader of the file meets them. */
function inOrder(found: readonly FaultError[]): FaultError[] {
  return [...found].sort((a, b) => (a.detail.line ?? 0) - (b.detail.line ?? 0));
}

/** What other files of a release are called behind the model's name. */
const reservedNames: readonly string[] = ['imatrix'];
// As the parts of a split output end, so that no output is taken for a part of another.
const partEnding = /-\d{5}-of-\d{5}$/;

class Reader {
  readonly faults: FaultError[] = [];
  readonly #file: RecipeFile;
  readonly #place: Place;
  readonly #mixes = new Map<string, readonly TensorType[]>();
  readonly #used = new Set<string>();
  /** Of the outputs so far, in capitals. */
  readonly #names = new Set<string>();

  constructor(file: RecipeFile, place: Place) {
    this.#file = file;
    this.#place = place;
    for (const [name, { tensors }] of Object.entries(file.mix ?? {})) {
      this.#mixes.set(name, this.#tensorTypes(tensors, ['mix', name, 'tensors']));
    }
  }

  read(): Recipe {
    const { name, calibration, output } = this.#file;
    const outputs = output.flatMap((one, index) => this.#output(one, ['output', index]));
    return {
      outputs,
      ...(name === undefined ? {} : { name }),
      ...(calibration === undefined ? {} : { calibration: calibrationOf(calibration) }),
    };
  }

  unusedMixes(): string[] {
    return [...this.#mixes.keys()].filter((name) => !this.#used.has(name));
  }

  /** Runs `work`; a fault of it is kept, with the place it is about. */
  #at<T>(path: Path, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      const { key, why, hint } = error.detail;
      // A bad pattern's key is the pattern.
      const cause = [key === undefined ? undefined : quoted(key), why]
        .filter((part) => part !== undefined)
        .join(': ');
      const detail = { ...this.#place.of(path), ...(hint === undefined ? {} : { hint }) };
      this.faults.push(
        new FaultError(
          error.kind,
          { ...detail, ...(cause === '' ? {} : { why: cause }) },
          { cause: error },
        ),
      );
      return undefined;
    }
  }

  #tensorTypes(tensors: RecipeFileOutput['tensors'], path: Path): readonly TensorType[] {
    return (tensors ?? []).flatMap(({ pattern, type }, index) => {
      const entry = [...path, index];
      const known = this.#at([...entry, 'type'], () => parseBlockType(type));
      const found = this.#at([...entry, 'pattern'], () => tensorTypeOf(pattern, known ?? 'F16'));
      return found === undefined ? [] : [found];
    });
  }

  /** The tensors of the mixes that an output uses, in the order it names them. */
  #mixed(use: readonly string[], path: Path): TensorType[] {
    return use.flatMap((name, index) => {
      const mix = this.#mixes.get(name);
      this.#used.add(name);
      if (mix !== undefined) return mix;
      const why = explainUnknown(name, [...this.#mixes.keys()]);
      this.faults.push(
        new FaultError(faults.unknownMix, { ...this.#place.of([...path, index]), why }),
      );
      return [];
    });
  }

  #output(output: RecipeFileOutput, path: Path): RecipeOutput[] {
    const ftype = this.#at([...path, 'ftype'], () => parseFtype(output.ftype));
    const own = this.#tensorTypes(output.tensors, [...path, 'tensors']);
    const tensorTypes = [...own, ...this.#mixed(output.use ?? [], [...path, 'use'])];
    if (tensorTypes.length > PATTERNS_MAX) {
      const why = `${tensorTypes.length}, where ${PATTERNS_MAX} are allowed`;
      this.faults.push(new FaultError(faults.tooManyPatterns, { ...this.#place.of(path), why }));
    }
    const outputTensorType = this.#type(output, 'output-tensor', path);
    const tokenEmbeddingType = this.#type(output, 'token-embedding', path);
    if (ftype === undefined) return [];
    const { note, pure = false, 'leave-output-tensor': leaveOutputTensor = false } = output;
    const name = output.name ?? ftype.name;
    this.#checkName(name, path);
    const options = {
      ...defaultOptions,
      ...{ tensorTypes, leaveOutputTensor, pure },
      ...(outputTensorType === undefined ? {} : { outputTensorType }),
      ...(tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType }),
    };
    return [{ name, ftype, options, ...(note === undefined ? {} : { note }) }];
  }

  #type(output: RecipeFileOutput, key: 'output-tensor' | 'token-embedding', path: Path) {
    const text = output[key];
    return text === undefined ? undefined : this.#at([...path, key], () => parseBlockType(text));
  }

  /** @param path of the output */
  #checkName(name: string, path: Path): void {
    if (reservedNames.includes(name.toLowerCase()) || partEnding.test(name)) {
      const detail = { ...this.#place.of([...path, 'name']), why: name };
      this.faults.push(new FaultError(faults.reservedName, detail));
    }
    const folded = name.toUpperCase();
    if (this.#names.has(folded)) {
      this.faults.push(new FaultError(faults.nameTwice, { ...this.#place.of(path), why: name }));
    }
    this.#names.add(folded);
  }
}

function calibrationOf(calibration: NonNullable<RecipeFile['calibration']>): RecipeCalibration {
  const said = calibrationFields.flatMap((field) => {
    const value = calibration[calibrationKeys[field]];
    return value === undefined ? [] : [[field, value] as const];
  });
  return { ...defaultCalibration, ...Object.fromEntries(said) };
}
