/**
 * Source options: whether SOURCE is a path or a repository of a hub, and how the hub is reached.
 *
 *   arguments, environment ──▶ sourceOf, hubOf ──▶ fields of a request
 */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { HUB_PREFIX, parseHubName } from '../proto/hub-name.ts';
import type { HubAccess } from '../proto/requests.ts';

export interface HubOptions {
  hubUrl?: string;
  /** What stands in the file. */
  hubTokenFile?: string;
}

export interface SourceOptions extends HubOptions {
  keepSource?: boolean;
}

export function withHubOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--hub-url <url>', 'hub or mirror (default: https://huggingface.co)').env(
        'HF_ENDPOINT',
      ),
    )
    .option('--hub-token-file <file>', 'holds the token for it (default: HF_TOKEN)', readToken);
}

export function withSourceOptions(command: Command): Command {
  return withHubOptions(command).option(
    '--keep-source',
    'keep what is fetched from a hub for the next run',
  );
}

/** What a request names as its source: an existing path wins, `hf:` forces a repository. */
export function sourceOf(text: string): string {
  const path = resolve(text);
  if (text.startsWith(HUB_PREFIX) || existsSync(path)) {
    return text.startsWith(HUB_PREFIX) ? text : path;
  }
  return parseHubName(text) === undefined ? path : `${HUB_PREFIX}${text}`;
}

/** The fields of a request about its source. */
export function sourceFields(
  text: string,
  options: SourceOptions,
): { source: string; hub: HubAccess | undefined; keepSource: boolean | undefined } {
  const source = sourceOf(text);
  const hub = source.startsWith(HUB_PREFIX) ? hubOf(options) : undefined;
  return { source, hub, keepSource: options.keepSource };
}

export function hubOf({ hubUrl, hubTokenFile }: HubOptions): HubAccess {
  const token = hubTokenFile ?? (process.env['HF_TOKEN'] ?? '').trim();
  return {
    ...(hubUrl === undefined || hubUrl === '' ? {} : { url: hubUrl }),
    ...(token === '' ? {} : { token }),
  };
}

// A token is one line; more is some other file.
const TOKEN_FILE_LENGTH_MAX = 512;

/** The token, and not its file: the daemon may not see what this command sees. */
function readToken(path: string): string {
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (text.length > 0 && text.length <= TOKEN_FILE_LENGTH_MAX) return text;
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new InvalidArgumentError(`It cannot be read: ${why}.`);
  }
  throw new InvalidArgumentError('It must hold a token and nothing else.');
}
