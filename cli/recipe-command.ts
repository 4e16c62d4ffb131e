/**
 * Recipe commands: check, show, list.
 *
 *   arguments ──▶ daemon ──▶ RecipeReport, text or list (recipe-view.ts), or one JSON object
 */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { RecipeListing, RecipeReport, ShippedRecipe } from '../proto/recipe-report.ts';
import type { Client } from './client.ts';
import type { CommandBasis } from './cluster-commands.ts';
import { type ConnectOptions, connect } from './daemon.ts';
import { renderFault } from './fault-view.ts';
import { renderRecipe, renderRecipes } from './recipe-view.ts';
import { type HubOptions, sourceFields, withHubOptions } from './source-options.ts';

type Shared = ConnectOptions & { readonly json?: boolean };
type CheckOptions = Shared & HubOptions & { readonly source?: string };

export function addRecipeCommands(basis: CommandBasis): void {
  const { program } = basis;
  const recipe = program.command('recipe').description('check a recipe, or show those there are');
  const checking = recipe
    .command('check')
    .description('say what is wrong with a recipe, or what it would make')
    .argument('<file>')
    .option(
      '--source <source>',
      'tell the type of every tensor of this checkpoint or GGUF, or of org/name[@revision] of a hub',
    );
  withOptions(withHubOptions(checking), basis).action((file: string, options: CheckOptions) =>
    check(file, options, basis),
  );
  withOptions(
    recipe
      .command('show')
      .description('print the recipe of a type, to begin one of your own with')
      .argument('<type>', 'Q4_K_M'),
    basis,
  ).action((ftype: string, options: Shared) => show(ftype, options, basis));
  withOptions(
    recipe.command('list').description('list the types that come along as recipes'),
    basis,
  ).action((options: Shared) => list(options, basis));
}

function withOptions(command: Command, { dataOption, jsonOption }: CommandBasis): Command {
  return command.addOption(dataOption()).addOption(jsonOption());
}

async function check(
  given: string,
  options: CheckOptions,
  { print, printJson }: CommandBasis,
): Promise<void> {
  const request = {
    recipe: { path: resolve(given), given },
    ...(options.source === undefined ? {} : sourceFields(options.source, options)),
  };
  const report = await asked(options, async (client) => {
    return (await client.ask('POST', '/v1/recipes/check', request)) as RecipeReport;
  });
  if (options.json === true) printJson({ type: 'recipe', ...report });
  else {
    print(renderRecipe(report));
    const lines = report.faults.flatMap(renderFault);
    if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`);
  }
  process.exitCode = report.faults[0]?.exit ?? 0;
}

async function show(ftype: string, options: Shared, { printJson }: CommandBasis): Promise<void> {
  const shipped = await asked(options, async (client) => {
    return (await client.ask('POST', '/v1/recipes/show', { ftype })) as ShippedRecipe;
  });
  if (options.json === true) printJson({ type: 'recipe-text', ...shipped });
  // To the byte: it is meant to be kept as a file.
  else process.stdout.write(shipped.text);
}

async function list(options: Shared, { print, printJson }: CommandBasis): Promise<void> {
  const recipes = await asked(options, async (client) => {
    return (await client.ask('GET', '/v1/recipes')) as RecipeListing[];
  });
  if (options.json === true) printJson({ type: 'recipes', recipes });
  else print(renderRecipes(recipes));
}

async function asked<T>(options: Shared, question: (client: Client) => Promise<T>): Promise<T> {
  const connection = await connect(options);
  try {
    return await question(connection.client);
  } finally {
    await connection.close();
  }
}
