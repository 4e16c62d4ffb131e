/**
 * Verify command: whether a folder is the release that it says it is.
 *
 *   arguments ──▶ VerifyRequest ──▶ the daemon
 */

import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { VerifyRequest } from '../proto/release-requests.ts';
import { wholeNumber } from './option-values.ts';
import type { Loose } from './quantize-command.ts';
import { type SourceOptions, sourceFields, withSourceOptions } from './source-options.ts';

export interface VerifyOptions extends SourceOptions {
  source?: string;
  spot: number;
  seed?: number;
  signer?: string;
}

const noSource = { source: undefined, hub: undefined, keepSource: undefined };
const SPOT_DEFAULT = 16;
const SEED_MAX = 2 ** 32 - 1;
// Short enough to be typed again.
const SEED_DRAWN_MAX = 1_000_000;

/** The command without its action, which is the caller's. */
export function addVerifyCommand(program: Command): Command {
  const command = program
    .command('verify')
    .description('check a release without a network: signature, digests, GGUFs, recipe')
    .argument('<release>', 'folder of a release, or a file of it, or any GGUF')
    .option('--source <source>', 'also make a part of the blocks again, from this source')
    .option('--spot <n>', 'how many row groups to make again', wholeNumber(0), SPOT_DEFAULT)
    .option('--seed <n>', 'which ones, as an earlier run printed it', wholeNumber(0, SEED_MAX))
    .option('--signer <peer>', 'the peer id that must have signed');
  return withSourceOptions(command).addHelpText(
    'after',
    '\nEnds with 6 when anything is wrong; all of it is told.',
  );
}

export function verifyRequest(release: string, options: VerifyOptions): Loose<VerifyRequest> {
  const { source, signer, spot } = options;
  return {
    kind: 'verify',
    release: resolve(release),
    spot,
    seed: options.seed ?? randomInt(SEED_DRAWN_MAX),
    ...(source === undefined ? noSource : sourceFields(source, options)),
    signer,
  };
}
