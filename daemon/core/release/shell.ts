/** Shell: words as a POSIX shell takes them, for commands that a page prints. */

import type { Wishes } from '../../../proto/lockfile.ts';

/** A word that a shell reads as `text`, quoted where it has to be. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Where a release keeps the recipe that it was made by, if there was one. */
export const RECIPE_FILE = 'recipe.toml';

/** The options of `quantd release` that ask for the same again, without source and places. */
export function wishWords(wishes: Wishes): string[] {
  const one = (option: string, value: string | undefined): string[] =>
    value === undefined ? [] : [option, value];
  const each = (option: string, values: readonly string[]): string[] =>
    values.flatMap((value) => [option, value]);
  const flag = (option: string, isSet: boolean): string[] => (isSet ? [option] : []);
  return [
    ...(wishes.types.length > 0 ? ['--type', wishes.types.join(',')] : []),
    ...one('--recipe', wishes.recipe === undefined ? undefined : RECIPE_FILE),
    ...['--name', wishes.name],
    ...each('--tensor-type', wishes.tensorTypes),
    ...one('--output-tensor-type', wishes.outputTensorType),
    ...one('--token-embedding-type', wishes.tokenEmbeddingType),
    ...flag('--leave-output-tensor', wishes.leaveOutputTensor),
    ...flag('--pure', wishes.pure),
    ...flag('--allow-requantize', wishes.allowRequantize),
    ...flag('--keep-split', wishes.keepSplit),
    ...one('--split-max-tensors', wishes.splitMaxTensors?.toString()),
    ...one('--split-max-size', splitSize(wishes)),
    ...one('--prune-layers', wishes.pruneLayers.join(',') || undefined),
    ...each('--include-weights', wishes.includeWeights),
    ...each('--exclude-weights', wishes.excludeWeights),
    ...each('--override-kv', wishes.overrideKv),
    ...one('--compat', wishes.compat),
  ];
}

/** Undefined where nobody asked: then a release cuts what is too large for the Hub. */
function splitSize({ splitMaxBytes, splitAboveBytes }: Wishes): string | undefined {
  if (splitMaxBytes === undefined || splitAboveBytes !== undefined) return undefined;
  return splitMaxBytes % 1e9 === 0 ? `${splitMaxBytes / 1e9}G` : `${splitMaxBytes / 1e6}M`;
}
