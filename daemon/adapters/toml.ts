/**
 * TOML: the text of a recipe as plain values.
 *
 *   bytes ──▶ parseToml ──▶ text, plain values  (read next: core/recipe/read-recipe.ts)
 */

import { parse, TomlError } from 'smol-toml';
import { FaultError } from '../../proto/fault.ts';
import { tomlFaults } from './toml-faults.ts';

// A recipe has four levels; no stranger's brackets may fill the stack.
const DEPTH_MAX = 16;

export interface ParsedToml {
  readonly text: string;
  readonly document: unknown;
}

/**
 * @param bytes of a file whose size has been looked at
 * @param file its name, for faults
 * @throws FaultError notUtf8, notToml with the line
 */
export function parseToml(bytes: Uint8Array, file: string): ParsedToml {
  const text = decode(bytes, file);
  try {
    // A key such as __proto__ is none of a recipe's, and refused rather than dropped.
    const document = parse(text, { maxDepth: DEPTH_MAX, unsafeKeyBehaviour: 'throw' });
    return { text, document };
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    // Its message goes on with the lines around the place.
    const [message = ''] = cause.message.replace(/^Invalid TOML document: /, '').split('\n');
    const why = `column ${cause.column}: ${message}`;
    throw new FaultError(tomlFaults.notToml, { file, line: cause.line, why }, { cause });
  }
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FaultError(tomlFaults.notUtf8, { file }, { cause });
  }
}
