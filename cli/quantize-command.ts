/**
 * Quantize command: what is to be made of a checkpoint or of another GGUF.
 *
 *   arguments ──▶ QuantizeRequest ──▶ the daemon
 */

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { QuantizeRequest } from '../proto/requests.ts';
import {
  type CalibrationOptions,
  calibrationOf,
  withCalibrationOptions,
} from './calibration-options.ts';
import { collect, layers, list, partBytes, wholeNumber } from './option-values.ts';
import { type SourceOptions, sourceFields, withSourceOptions } from './source-options.ts';

export interface QuantizeOptions extends CalibrationOptions, SourceOptions {
  type: string[];
  recipe?: string;
  out: string;
  name?: string;
  overwrite?: boolean;
  tensorType: string[];
  outputTensorType?: string;
  tokenEmbeddingType?: string;
  leaveOutputTensor?: boolean;
  pure?: boolean;
  allowRequantize?: boolean;
  keepSplit?: boolean;
  splitMaxTensors?: number;
  splitMaxSize?: number;
  pruneLayers: number[];
  imatrix?: string;
  includeWeights: string[];
  excludeWeights: string[];
  overrideKv: string[];
  dryRun?: boolean;
  plan?: boolean;
  compat?: string;
  poolOutputs?: boolean;
  leave?: boolean;
}

/** A request whose options may stand there as undefined, as commander gives them. */
export type Loose<T> = T extends unknown ? { [K in keyof T]: T[K] | undefined } : never;

/** The command without its action, which is the caller's. */
export function addQuantizeCommand(program: Command): Command {
  const command = program
    .command('quantize')
    .description('make a GGUF of each type from a checkpoint or another GGUF');
  return withDiskOptions(withRecipeOptions(command))
    .requiredOption('--out <dir>', 'directory of the outputs; an unfinished one is continued')
    .option('--overwrite', 'replace outputs of another run')
    .option('--yes', 'do not ask before a run of more than ten minutes')
    .option('--dry-run', 'say what would be made, as quantd plan does; make nothing')
    .option('--plan', 'the same');
}

/** On whose disks outputs grow. */
export function withDiskOptions(command: Command): Command {
  return command
    .option('--pool-outputs', 'let outputs grow on the disks of all machines, then collect them')
    .option('--leave', 'the same, and leave them where they are');
}

/** SOURCE, and every option that says what the outputs are. */
export function withRecipeOptions(command: Command): Command {
  const described = withCalibrationOptions(
    command
      .argument(
        '<source>',
        'checkpoint directory, a GGUF (any part of a split one), or org/name[@revision] of a hub',
      )
      .option('--type <types>', 'Q4_K_M,Q8_0,… (repeatable)', list, [])
      .option('--recipe <file>', 'outputs as a recipe says (docs/recipe.md); --type adds to them')
      .option(
        '--name <model>',
        "the model's name in metadata and file names (of a GGUF: in the latter)",
      )
      .option(
        '--tensor-type <pattern=type>',
        'type of the tensors that match (repeatable)',
        collect,
        [],
      )
      .option('--output-tensor-type <type>', 'type of output.weight')
      .option('--token-embedding-type <type>', 'type of token_embd.weight')
      .option('--leave-output-tensor', 'do not quantize output.weight')
      .option('--pure', 'one type everywhere, no mixtures')
      .option('--allow-requantize', 'quantize tensors of a GGUF that are quantized already')
      .option('--keep-split', 'split each output where the GGUF is split')
      .addOption(
        new Option('--split-max-tensors <n>', 'cut outputs into parts of so many tensors')
          .argParser(wholeNumber(1))
          .conflicts(['splitMaxSize', 'keepSplit']),
      )
      .addOption(
        new Option('--split-max-size <size>', 'or of so many bytes of tensors: 500M or 20G')
          .argParser(partBytes)
          .conflicts('keepSplit'),
      )
      .option('--prune-layers <numbers>', 'leave layers out, counted from 0: 20,21', layers, [])
      .addOption(
        new Option('--imatrix <file>', 'importance matrix, .gguf or .dat').conflicts('calibration'),
      )
      .option('--include-weights <part>', 'use only its entries with this name part', collect, [])
      .option('--exclude-weights <part>', 'use no entry with this name part', collect, [])
      .option(
        '--override-kv <key=type:value>',
        'set metadata; int, float, bool or str (repeatable)',
        collect,
        [],
      )
      .option('--compat <tool>', 'llama-quantize: the header too is what that tool writes'),
  );
  return withSourceOptions(described);
}

export function quantizeRequest(
  source: string,
  options: QuantizeOptions,
  command: Command,
): Loose<QuantizeRequest> {
  return {
    kind: 'quantize',
    ...sourceFields(source, options),
    types: options.type,
    recipe:
      options.recipe === undefined
        ? undefined
        : { path: resolve(options.recipe), given: options.recipe },
    out: resolve(options.out),
    name: options.name,
    overwrite: options.overwrite ?? false,
    tensorTypes: options.tensorType,
    outputTensorType: options.outputTensorType,
    tokenEmbeddingType: options.tokenEmbeddingType,
    leaveOutputTensor: options.leaveOutputTensor ?? false,
    pure: options.pure ?? false,
    allowRequantize: options.allowRequantize ?? false,
    keepSplit: options.keepSplit ?? false,
    splitMaxTensors: options.splitMaxTensors,
    splitMaxBytes: options.splitMaxSize,
    pruneLayers: options.pruneLayers,
    imatrix:
      options.imatrix === undefined
        ? undefined
        : { path: resolve(options.imatrix), given: options.imatrix },
    calibration: calibrationOf(options, false, command),
    includeWeights: options.includeWeights,
    excludeWeights: options.excludeWeights,
    overrideKv: options.overrideKv,
    dryRun: options.dryRun === true || options.plan === true,
    compat: options.compat,
    assembly: options.leave === true ? 'left' : options.poolOutputs === true ? 'pooled' : undefined,
  };
}
