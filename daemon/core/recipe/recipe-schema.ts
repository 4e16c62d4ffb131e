/**
 * Recipe schema: what the schema of proto/recipe-file.ts finds wrong, as faults that say where.
 *
 *   plain values ──▶ checkSchema ──▶ RecipeFile | FaultError[], one for each thing that is wrong
 */

import { type FaultDetail, FaultError } from '../../../proto/fault.ts';
import {
  RECIPE_SCHEMA,
  type RecipeFile,
  type RecipeIssue,
  recipeFile,
  recipeFileCalibration,
  recipeFileOutput,
  recipeMix,
} from '../../../proto/recipe-file.ts';
import { quoted } from '../models/quoted.ts';
import { explainUnknown } from './nearest-names.ts';
import { recipeFileFaults as faults } from './recipe-file-faults.ts';
import { linesOf, type Path } from './toml-lines.ts';

/** Where things stand in the file that a recipe was read from. */
export interface Place {
  /** File, key and, where it can be told, line of what stands under the keys and numbers. */
  of(path: Path): FaultDetail;
}

/**
 * @param file as the user named it; undefined for values that stand in no file
 * @param text of the file, from which the lines are told
 */
export function placeIn(file: string | undefined, text?: string): Place {
  let lineOf: ReturnType<typeof linesOf> | undefined;
  return {
    of: (path) => {
      // Only of a text in which something is wrong are the lines looked for.
      lineOf ??= linesOf(text ?? '');
      const line = lineOf(path);
      return {
        ...(file === undefined ? {} : { file }),
        ...(path.length === 0 ? {} : { key: keyText(path) }),
        ...(line === undefined ? {} : { line }),
      };
    },
  };
}

/** `output[0].tensors[2].type` */
function keyText(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const text = /^[\w-]+$/.test(part) ? part : quoted(part);
      return index === 0 ? text : `.${text}`;
    })
    .join('');
}

export function checkSchema(
  document: unknown,
  place: Place,
): { readonly file: RecipeFile } | { readonly faults: readonly FaultError[] } {
  const stated = valueAt(document, ['recipe']);
  // Of another version nothing else would be told rightly.
  if (stated !== undefined && stated !== RECIPE_SCHEMA) {
    const why = `it says ${shown(stated)}, known is ${RECIPE_SCHEMA}`;
    return { faults: [new FaultError(faults.otherSchema, { ...place.of(['recipe']), why })] };
  }
  const result = recipeFile.safeParse(document);
  if (result.success) return { file: result.data };
  return { faults: result.error.issues.flatMap((issue) => faultsOf(issue, document, place)) };
}

function faultsOf(issue: RecipeIssue, document: unknown, place: Place): FaultError[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const why = explainUnknown(key, keysAt(path));
      return new FaultError(faults.unknownKey, { ...place.of([...path, key]), why });
    });
  }
  if (valueAt(document, path) === undefined) {
    return [new FaultError(faults.keyMissing, place.of(path))];
  }
  // Of a key that is wrong by itself the reason stands one level deeper.
  const inner = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
  const message = (inner ?? issue.message).replace(/^Invalid input: /, '');
  const why = `${message}; it is ${shown(valueAt(document, path))}`;
  return [new FaultError(faults.badValue, { ...place.of(path), why })];
}

/** The keys that may stand in the table at a path. */
function keysAt(path: Path): string[] {
  if (path.at(-2) === 'tensors') return ['pattern', 'type'];
  const [table] = path;
  if (table === 'output') return Object.keys(recipeFileOutput.shape);
  if (table === 'calibration') return Object.keys(recipeFileCalibration.shape);
  if (table === 'mix') return Object.keys(recipeMix.shape);
  return Object.keys(recipeFile.shape);
}

function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) {
      return undefined;
    }
    value = Object.getOwnPropertyDescriptor(value, part)?.value;
  }
  return value;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'a table';
  return typeof value === 'string' ? quoted(value) : String(value);
}
