/**
 * Release command: makes a folder that is ready to upload and that anyone can rebuild.
 *
 *   arguments of quantize ──▶ ReleaseRequest ──▶ the daemon
 */

import type { Command } from 'commander';
import type { ReleaseRequest } from '../proto/requests.ts';
import {
  type Loose,
  type QuantizeOptions,
  quantizeRequest,
  withDiskOptions,
  withRecipeOptions,
} from './quantize-command.ts';

/** The command without its action, which is the caller's. */
export function addReleaseCommand(program: Command): Command {
  const command = program
    .command('release')
    .description('make a folder ready to upload: GGUFs, matrix, card, lockfile, digests');
  return withDiskOptions(withRecipeOptions(command))
    .requiredOption(
      '--out <dir>',
      'where the folder <Model>-GGUF is made; an unfinished one is continued',
    )
    .option('--overwrite', 'replace outputs of another run')
    .option('--yes', 'do not ask before a run of more than ten minutes')
    .addHelpText(
      'after',
      '\nquantd verify checks a release, quantd reproduce makes it again. What --leave has left on other' +
        '\nmachines quantd publish sends from there; the same command without it brings it here.',
    );
}

/** What quantize would be asked for, as a release. */
export function releaseRequest(
  source: string,
  options: QuantizeOptions,
  command: Command,
): Loose<ReleaseRequest> {
  const { kind, dryRun, ...wishes } = quantizeRequest(source, options, command);
  return { ...wishes, kind: 'release' };
}
