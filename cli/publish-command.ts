/**
 * Publish command: a folder that becomes a repository of a hub.
 *
 *   arguments ──▶ PublishRequest ──▶ the daemon
 */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { PublishRequest } from '../proto/publish-request.ts';
import { type HubOptions, hubOf, withHubOptions } from './source-options.ts';

export interface PublishOptions extends HubOptions {
  repo: string;
  yes?: boolean;
  dryRun?: boolean;
  private?: boolean;
}

/** The command without its action, which is the caller's. */
export function addPublishCommand(program: Command): Command {
  const command = program
    .command('publish')
    .description('send a release to a hub, in one commit')
    .argument('<folder>', 'folder of a release')
    .requiredOption('--repo <org/name>', 'repository; it is made where there is none')
    .option('--yes', 'send what is listed')
    .option('--dry-run', 'list what would be sent; send nothing')
    .option('--private', 'a repository that is made is seen by its owner alone');
  return withHubOptions(command).addHelpText(
    'after',
    '\nFiles that the repository has already are not sent again, after a break as well. Outputs that' +
      '\nquantd release --leave left on other machines are sent from there.',
  );
}

export function publishRequest(folder: string, options: PublishOptions): PublishRequest {
  return {
    kind: 'publish',
    folder: resolve(folder),
    repository: options.repo,
    confirmed: options.yes === true && options.dryRun !== true,
    dryRun: options.dryRun ?? false,
    private: options.private ?? false,
    hub: hubOf(options),
  };
}
