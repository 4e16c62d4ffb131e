/**
 * Recipes: what a recipe would make, told without making it, and those that come along.
 *
 *   RecipeCheckRequest ──▶ checkRecipe ──▶ RecipeReport
 */

import { FaultError, type FaultMessage } from '../../proto/fault.ts';
import type {
  PlannedOutput,
  RecipeListing,
  RecipeOutputReport,
  RecipeReport,
  ShippedRecipe,
} from '../../proto/recipe-report.ts';
import type { RecipeCheckRequest } from '../../proto/recipe-requests.ts';
import { calibrationRequest, type HubAccess, quantizeRequest } from '../../proto/requests.ts';
import type { Importance } from '../core/importance/importance.ts';
import { parseCompat } from '../core/importance/importance-keys.ts';
import { planOutputs } from '../core/plan/outputs.ts';
import { plainRecipe, recipeDigest } from '../core/recipe/canonical.ts';
import { ftypes, parseFtype } from '../core/recipe/ftypes.ts';
import { idlePatterns } from '../core/recipe/pattern-uses.ts';
import type { Recipe, RecipeOutput } from '../core/recipe/recipe.ts';
import { requirementsOf } from '../core/recipe/requirements.ts';
import { typeGroups } from '../core/recipe/type-groups.ts';
import type { Kernels } from '../ports.ts';
import { type DescribedSource, describeSource } from './describe-source.ts';
import { totalsOf } from './inspect.ts';
import { unmeasuredMatrix } from './make-imatrix.ts';
import { useMatrix } from './open-imatrix.ts';
import { readBytes, readNamed } from './open-recipe.ts';
import type { RunPorts } from './run.ts';

export interface RecipesPorts
  extends Pick<RunPorts, 'openFile' | 'parseToml' | 'openSource' | 'sha256'> {
  readonly kernels: Pick<Kernels, 'sha256'>;
  /** Absolute path of the directory with the recipes that come along. */
  readonly shippedRecipes: string;
}

/** Every ftype, roughly from the largest file to the smallest. */
export function listRecipes(): RecipeListing[] {
  return ftypes.map((ftype) => {
    const { name, id, aliases, type } = ftype;
    return { name, id, aliases, type, needsImportance: requirementsOf(ftype).needsImportance };
  });
}

/**
 * The recipe of an ftype, as it comes along.
 * @throws FaultError unknownFtype
 */
export async function showRecipe(text: string, ports: RecipesPorts): Promise<ShippedRecipe> {
  const { name } = parseFtype(text);
  const file = `${name}.toml`;
  const bytes = await readBytes(`${ports.shippedRecipes}/${file}`, file, ports.openFile);
  return { ftype: name, text: ports.parseToml(bytes, file).text };
}

/**
 * All that is wrong with a recipe is in the report; where nothing is, what it would make.
 * @throws FaultError where the source cannot be read
 */
export async function checkRecipe(
  { recipe: named, source, hub }: RecipeCheckRequest,
  ports: RecipesPorts,
  signal: AbortSignal,
): Promise<RecipeReport> {
  const file = named.given;
  const nothing = { file, outputs: [], warnings: [] };
  const faults: FaultMessage[] = [];
  const reading = await attempt(faults, () => readNamed(named, ports));
  if (reading === undefined) return { ...nothing, faults };
  if (reading.recipe === undefined) {
    return { ...nothing, faults: reading.faults.map((fault) => fault.toMessage()) };
  }
  const { recipe, unusedMixes } = reading;
  const { name, calibration } = plainRecipe(recipe);
  const warnings = unusedMixes.map((mix) => `no output uses the mix ${mix}`);
  const told = { warnings, faults, file };
  const outputs =
    source === undefined
      ? recipe.outputs.map((output) => outputReport(output))
      : await planAll(recipe, { path: source, hub }, ports, told, signal);
  return {
    ...told,
    outputs,
    digest: recipeDigest(recipe, ports.sha256),
    ...(name === undefined ? {} : { name }),
    ...(calibration === undefined ? {} : { calibration }),
  };
}

/** What is found on the way, for the report. */
interface Told {
  readonly file: string;
  readonly warnings: string[];
  readonly faults: FaultMessage[];
}

async function planAll(
  recipe: Recipe,
  { path, hub }: { readonly path: string; readonly hub: HubAccess | undefined },
  ports: RecipesPorts,
  told: Told,
  signal: AbortSignal,
): Promise<RecipeOutputReport[]> {
  const source = await ports.openSource(path, { hub, signal });
  try {
    // The directory of the outputs is asked of no one here.
    const request = quantizeRequest.parse({ kind: 'quantize', source: path, out: path });
    const described = await describeSource(source, request, signal);
    if (recipe.calibration === undefined) {
      told.warnings.push('these are the types without an importance matrix; with one some differ');
    }
    const importance = await attempt(told.faults, () => importanceOf(recipe, described, ports));
    const reports: RecipeOutputReport[] = [];
    for (const [index, output] of recipe.outputs.entries()) {
      const place = { file: told.file, key: `output[${index}]` };
      const planned = await attempt(
        told.faults,
        async () => plannedOutput(output, described, importance, told),
        place,
      );
      reports.push(outputReport(output, planned));
    }
    return reports;
  } finally {
    // What was fetched to be looked at is not kept.
    await source.remote?.forget(true);
    await source.close();
  }
}

/** As a run has it that measures: what is told of it here follows from what it will cover. */
async function importanceOf(
  { calibration }: Recipe,
  described: DescribedSource,
  { kernels }: RecipesPorts,
): Promise<Importance | undefined> {
  if (calibration === undefined) return undefined;
  const text = { path: 'text', given: 'text' };
  const wanted = calibrationRequest.parse({
    ...calibration,
    files: calibration.default ? [] : [text],
  });
  const file = `${described.name}-imatrix.gguf`;
  const filters = { include: [], exclude: [] };
  const chunks = { datasets: [text.given], chunks: [new Int32Array()], chunkTokens: wanted.ctx };
  const matrix = unmeasuredMatrix(described, wanted, chunks);
  return await useMatrix(matrix, { file, given: file, filters }, described.model.tensors, {
    kernels,
  });
}

function plannedOutput(
  output: RecipeOutput,
  { model, name }: DescribedSource,
  importance: Importance | undefined,
  { warnings }: Told,
): PlannedOutput {
  warnings.push(...idlePatterns(model.tensors, output));
  const plans = planOutputs(model, name, [output], {
    ...{ allowRequantize: true, keepSplit: false, overrides: [], importance, dryRun: true },
    compat: parseCompat(undefined),
  });
  for (const text of plans.flatMap(({ notices }) => notices)) {
    warnings.push(`output ${output.name}: ${text}`);
  }
  const tensors = plans.flatMap(({ layout }) => layout.tensors);
  return {
    files: plans.map(({ file }) => file),
    bytes: plans.reduce((sum, { layout }) => sum + layout.fileBytes, 0),
    bitsPerWeight: plans[0]?.bitsPerWeight ?? 0,
    fallbacks: plans.reduce((sum, { fallbacks }) => sum + fallbacks, 0),
    types: totalsOf(tensors).types,
    groups: typeGroups(tensors),
  };
}

function outputReport(
  { name, ftype, note, options }: RecipeOutput,
  planned?: PlannedOutput,
): RecipeOutputReport {
  const { pure, leaveOutputTensor, outputTensorType, tokenEmbeddingType, tensorTypes } = options;
  return {
    ...{ name, ftype: ftype.name, pure, leaveOutputTensor, tensors: tensorTypes },
    ...(note === undefined ? {} : { note }),
    ...(outputTensorType === undefined ? {} : { outputTensor: outputTensorType }),
    ...(tokenEmbeddingType === undefined ? {} : { tokenEmbedding: tokenEmbeddingType }),
    ...(planned === undefined ? {} : { planned }),
  };
}

/** Keeps the fault of `work`, with the place that it is about where it names none. */
async function attempt<T>(
  faults: FaultMessage[],
  work: () => Promise<T>,
  place: { readonly file?: string; readonly key?: string } = {},
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    faults.push({ ...place, ...error.toMessage() });
    return undefined;
  }
}
