/**
 * Hub name: how a repository of a hub is written where a path could stand.
 *
 *   `org/name`, `org/name@revision`, `org/name/file.gguf@revision` ──▶ HubName
 *
 * Read next: docs/hub.md.
 */

/** In front of a name that is not to be taken for a path; requests have it before every name. */
export const HUB_PREFIX = 'hf:';

export interface HubName {
  /** `org/name`. */
  readonly repository: string;
  /** Branch, tag or commit; undefined means the repository's own choice. */
  readonly revision: string | undefined;
  /** One file of it, by its path from the top; undefined where the repository as a whole is meant. */
  readonly file: string | undefined;
}

// What the hub takes for the name of an owner or of a repository.
const PART = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_-])?';
const NAME = new RegExp(
  `^(${PART}/${PART})(?:/([^@]+))?(?:@([A-Za-z0-9][A-Za-z0-9._/-]{0,199}))?$`,
);
const FILE = /^[^/\\\p{Cc}]+(?:\/[^/\\\p{Cc}]+){0,7}\.(?:gguf|safetensors)$/u;

/** The name that stands in `text`, with or without the prefix; undefined where none does. */
export function parseHubName(text: string): HubName | undefined {
  const bare = text.startsWith(HUB_PREFIX) ? text.slice(HUB_PREFIX.length) : text;
  const [, repository, file, revision] = NAME.exec(bare) ?? [];
  if (repository === undefined || /--|\.\./.test(repository)) return undefined;
  if (file !== undefined && (!FILE.test(file) || file.split('/').includes('..'))) return undefined;
  if (revision?.includes('..')) return undefined;
  return { repository, revision, file };
}
