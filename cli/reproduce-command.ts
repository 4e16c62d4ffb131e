/**
 * Reproduce command: makes a release again from its lockfile, and compares every byte.
 *
 *   arguments ──▶ ReproduceRequest ──▶ the daemon
 */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ReproduceRequest } from '../proto/release-requests.ts';
import { list } from './option-values.ts';
import type { Loose } from './quantize-command.ts';
import { hubOf, type SourceOptions, sourceFields, withSourceOptions } from './source-options.ts';

export interface ReproduceOptions extends SourceOptions {
  source?: string;
  calibration: string[];
  out?: string;
  keep?: boolean;
}

/** The command without its action, which is the caller's. */
export function addReproduceCommand(program: Command): Command {
  const command = program
    .command('reproduce')
    .description('make a release again from its lockfile, and compare every byte')
    .argument('<lockfile>', 'quantd.lock.json, in the folder of the release')
    .option('--source <source>', 'what it was made from')
    .option(
      '--calibration <files>',
      'its texts, in the order of the lockfile (default: those of the release)',
      list,
      [],
    )
    .option('--out <dir>', 'directory to make it in (default: one beside the folder)')
    .option('--keep', 'do not remove what was made');
  return withSourceOptions(command).addHelpText(
    'after',
    '\nEnds with 0 only where every byte is the same, else with 6.',
  );
}

export function reproduceRequest(
  lockfile: string,
  options: ReproduceOptions,
): Loose<ReproduceRequest> {
  const { source, calibration, out, keep = false } = options;
  return {
    kind: 'reproduce',
    release: resolve(lockfile),
    calibration: calibration.map((path) => resolve(path)),
    keep,
    ...(source === undefined
      ? // The lockfile may name a repository.
        { source, hub: hubOf(options), keepSource: options.keepSource }
      : sourceFields(source, options)),
    out: out === undefined ? undefined : resolve(out),
  };
}
