/**
 * Imatrix command: measures an importance matrix, or merges some.
 *
 *   arguments ──▶ MakeImatrixRequest ──▶ the daemon
 */

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { MakeImatrixRequest } from '../proto/requests.ts';
import {
  type CalibrationOptions,
  calibrationOf,
  withCalibrationOptions,
} from './calibration-options.ts';
import { collect } from './option-values.ts';
import type { Loose } from './quantize-command.ts';
import { type SourceOptions, sourceFields, withSourceOptions } from './source-options.ts';

export interface ImatrixOptions extends CalibrationOptions, SourceOptions {
  out: string;
  format: 'gguf' | 'dat';
  inFile: string[];
  showStatistics?: boolean;
  overwrite?: boolean;
}

/** The command without its action, which is the caller's. */
export function addImatrixCommand(program: Command): Command {
  const command = program
    .command('imatrix')
    .description('measure an importance matrix, or merge some')
    .argument('<source>', 'checkpoint directory, or org/name[@revision] of a hub')
    .requiredOption('-o, --out <file>', 'the file to make')
    .addOption(
      new Option('--format <form>', 'form of the file').choices(['gguf', 'dat']).default('gguf'),
    )
    .option('--in-file <file>', 'a matrix to add to it (repeatable)', collect, [])
    .option('--show-statistics', 'tell how the importance of each tensor is spread')
    .option('--overwrite', 'replace the file');
  return withSourceOptions(withCalibrationOptions(command)).addHelpText(
    'after',
    '\nWithout --calibration the text that quantd brings along is used; with --in-file, none.',
  );
}

export function imatrixRequest(
  source: string,
  options: ImatrixOptions,
  command: Command,
): Loose<MakeImatrixRequest> {
  const calibration = calibrationOf(options, options.inFile.length === 0, command);
  return {
    kind: 'imatrix',
    ...sourceFields(source, options),
    out: resolve(options.out),
    format: options.format,
    inFiles: options.inFile.map((given) => ({ path: resolve(given), given })),
    showStatistics: options.showStatistics ?? false,
    overwrite: options.overwrite ?? false,
    calibration,
    name: undefined,
  };
}
