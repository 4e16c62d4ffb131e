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

export interface ImatrixOptions extends CalibrationOptions {
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
    .argument('<source>', 'checkpoint directory, or a GGUF (any part of a split one)')
    .requiredOption('-o, --out <file>', 'the file to make')
    .addOption(
      new Option('--format <form>', 'form of the file').choices(['gguf', 'dat']).default('gguf'),
    )
    .option('--in-file <file>', 'a matrix to add to it (repeatable)', collect, [])
    .option('--show-statistics', 'tell how the importance of each tensor is spread')
    .option('--overwrite', 'replace the file');
  return withCalibrationOptions(command).addHelpText(
    'after',
    '\nWithout --calibration the text that quantd brings along is used; with --in-file, none.',
  );
}

export function imatrixRequest(
  source: string,
  options: ImatrixOptions,
  command: Command,
): MakeImatrixRequest {
  const calibration = calibrationOf(options, options.inFile.length === 0, command);
  return {
    kind: 'imatrix',
    source: resolve(source),
    out: resolve(options.out),
    format: options.format,
    inFiles: options.inFile.map((given) => ({ path: resolve(given), given })),
    showStatistics: options.showStatistics ?? false,
    overwrite: options.overwrite ?? false,
    ...(calibration === undefined ? {} : { calibration }),
  };
}
