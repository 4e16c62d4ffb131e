/** YAML, for the heads of model cards. */

import { parse } from 'yaml';

/**
 * The value of a YAML text, as JSON would have it. Anchors may not multiply what they name.
 * @throws Error with what is wrong, and where
 */
export function parseYaml(text: string): unknown {
  return parse(text, { maxAliasCount: 16, schema: 'core', strict: true, uniqueKeys: true });
}
