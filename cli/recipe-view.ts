/**
 * Recipe view: what a recipe asks for, as the lines a person reads.
 *
 *   RecipeReport, RecipeListing[] ──▶ renderRecipe, renderRecipes ──▶ lines
 */

import type {
  PlannedOutput,
  RecipeListing,
  RecipeOutputReport,
  RecipeReport,
} from '../proto/recipe-report.ts';
import { bytesText, tableText } from './format.ts';
import { printable } from './inspect-view.ts';

/** All but the faults, which go where faults go. */
export function renderRecipe(report: RecipeReport): string[] {
  const { file, name, digest, calibration, outputs, warnings, faults } = report;
  const state = faults.length === 0 ? 'is right' : countedText(faults.length, 'fault');
  return [
    `${file}${name === undefined ? '' : ` (${name})`}: ${state}`,
    ...(digest === undefined ? [] : [`SHA-256 of the recipe ${digest}`]),
    ...(calibration === undefined ? [] : [`importance is measured: ${waysText(calibration)}`]),
    ...outputs.flatMap((output) => ['', ...outputLines(output)]),
    ...(warnings.length === 0 ? [] : ['']),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].map(printable);
}

export function renderRecipes(recipes: readonly RecipeListing[]): string[] {
  return tableText(
    [
      ['type', 'number', 'default', 'also called', ''],
      ...recipes.map(({ name, id, aliases, type, needsImportance }) => [
        name,
        String(id),
        type,
        aliases.join(', '),
        needsImportance ? 'needs an importance matrix' : '',
      ]),
    ],
    [1],
  );
}

function waysText(calibration: NonNullable<RecipeReport['calibration']>): string {
  const ways = Object.entries(calibration).map(([key, value]) =>
    value === true ? key : `${key} ${value}`,
  );
  return ways.length === 0 ? 'as it is by default' : ways.join(', ');
}

function outputLines(output: RecipeOutputReport): string[] {
  const { name, ftype, note, planned } = output;
  const head = [
    name,
    ...(name === ftype ? [] : [`rules of ${ftype}`]),
    ...(planned === undefined ? [] : sizeTexts(planned)),
  ];
  return [
    head.join(' · '),
    ...(note === undefined ? [] : [`  ${note}`]),
    ...choiceLines(output),
    ...(planned === undefined ? [] : plannedLines(planned)),
  ];
}

function sizeTexts({ bytes, bitsPerWeight, fallbacks }: PlannedOutput): string[] {
  return [
    bytesText(bytes),
    `${bitsPerWeight.toFixed(2)} bits per weight`,
    ...(fallbacks === 0 ? [] : [`${countedText(fallbacks, 'tensor')} in a fallback type`]),
  ];
}

/** What is not left to the rules, in the order in which it is asked. */
function choiceLines(output: RecipeOutputReport): string[] {
  const { tensors, pure, leaveOutputTensor, outputTensor, tokenEmbedding } = output;
  const rows = [
    ...(leaveOutputTensor ? [['output.weight', 'as it is']] : []),
    ...(tokenEmbedding === undefined ? [] : [['token_embd.weight', tokenEmbedding]]),
    ...(outputTensor === undefined ? [] : [['output.weight', outputTensor]]),
    ...tensors.map(({ pattern, type }) => [`"${pattern}"`, type]),
    ...(pure ? [['everything else', 'one type: no mixture']] : []),
  ];
  return tableText(rows, []).map((row) => `  ${row}`);
}

function plannedLines({ types, groups }: PlannedOutput): string[] {
  const totals = types.map(({ type, tensors, bytes }) => [
    type,
    countedText(tensors, 'tensor'),
    bytesText(bytes),
  ]);
  const names = groups.map(({ type, tensors, name, layers }) => [
    type,
    layers === undefined ? '' : String(tensors),
    name,
    layers === undefined ? '' : `layers ${layers}`,
  ]);
  return [
    ...tableText(totals, [2]).map((row) => `  ${row}`),
    ...tableText(names, [1]).map((row) => `    ${row}`),
  ];
}

function countedText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
