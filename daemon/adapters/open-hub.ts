/**
 * Opens a repository of a hub as a source.
 *
 *   `hf:org/name@revision` + access ──▶ openHub ──▶ Source   (read next: hub-source.ts)
 */

import { join } from 'node:path';
import { FaultError } from '../../proto/fault.ts';
import { HUB_PREFIX, type HubName, parseHubName } from '../../proto/hub-name.ts';
import type { HubAccess } from '../../proto/requests.ts';
import type { Source } from '../ports.ts';
import { hubFaults } from './hub-faults.ts';
import { openHubRepository } from './hub-repository.ts';
import { openHubSource } from './hub-source.ts';
import { HubStore } from './hub-store.ts';
import { HubTransport, parseHubUrl } from './hub-transport.ts';
import type { SourceDirectoryOptions } from './source-directory.ts';

const HUB_URL = 'https://huggingface.co';

export interface OpenHubOptions extends SourceDirectoryOptions {
  /** Where fetched files go: `<directory>/<org>--<name>/<commit>`. */
  readonly directory: string;
  readonly access: HubAccess;
  /** What is fetched stays for the next run. */
  readonly keep: boolean;
  /** Ends the asking. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether SOURCE names a repository; a path never begins so, because paths in requests are absolute. */
export function isHubSource(source: string): boolean {
  return source.startsWith(HUB_PREFIX);
}

/** @throws FaultError QD-25xx */
export async function openHub(source: string, options: OpenHubOptions): Promise<Source> {
  const name = nameOf(source);
  const transport = transportOf(name.repository, options.access);
  const repository = await openHubRepository(transport, name.revision, options.signal);
  const folder = name.repository.replace('/', '--');
  const store = await HubStore.open(
    join(options.directory, folder, repository.commit),
    options.hashFile,
  );
  try {
    return openHubSource(repository, store, { ...options, name });
  } catch (error) {
    await store.close();
    throw error;
  }
}

function nameOf(source: string): HubName {
  const name = parseHubName(source);
  if (name !== undefined) return name;
  throw new FaultError(hubFaults.badName, { why: JSON.stringify(source.slice(HUB_PREFIX.length)) });
}

/** @throws FaultError QD-2517, QD-2518 */
export function transportOf(repository: string, { url = HUB_URL, token }: HubAccess): HubTransport {
  return new HubTransport({
    url: parseHubUrl(url, token !== undefined),
    repository,
    ...(token === undefined ? {} : { token }),
  });
}
