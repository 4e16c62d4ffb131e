/**
 * Overrides: types a person sets by hand, for tensors whose name a pattern finds.
 *
 *   "ffn_down=q8_0" ──▶ parseTensorTypeOption ──▶ TensorType ──▶ findOverride (in type-rules.ts)
 */

import { FaultError } from '../../../proto/fault.ts';
import { PATTERN_CHARACTERS_MAX } from '../../../proto/recipe-file.ts';
import type { BlockTypeName } from '../gguf/block-types.ts';
import { recipeFaults } from './faults.ts';
import { parseBlockType } from './ftypes.ts';
import { PatternSearch } from './pattern-search.ts';

export interface TensorType {
  /** Found anywhere in the name unless it is anchored. */
  readonly pattern: string;
  readonly type: BlockTypeName;
}

export interface CompiledOverride {
  readonly expression: PatternSearch;
  readonly type: BlockTypeName;
}

/**
 * Reads the PATTERN=TYPE of `--tensor-type`. The last `=` divides, for patterns may hold one.
 * @throws FaultError badTensorTypeOption, badPattern, unknownBlockType
 */
export function parseTensorTypeOption(text: string): TensorType {
  const divider = text.lastIndexOf('=');
  if (divider <= 0 || divider === text.length - 1) {
    const why = JSON.stringify(text.slice(0, PATTERN_CHARACTERS_MAX));
    throw new FaultError(recipeFaults.badTensorTypeOption, { why });
  }
  return tensorTypeOf(text.slice(0, divider), text.slice(divider + 1));
}

/**
 * A pattern and a type as two texts, as a recipe's file has them.
 * @throws FaultError badPattern, unknownBlockType
 */
export function tensorTypeOf(pattern: string, type: string): TensorType {
  const lowered = lowerCase(pattern);
  compilePattern(lowered);
  return { pattern: lowered, type: parseBlockType(type) };
}

/** @throws FaultError badPattern */
export function compileOverrides(tensorTypes: readonly TensorType[]): readonly CompiledOverride[] {
  return tensorTypes.map(({ pattern, type }) => ({
    expression: compilePattern(lowerCase(pattern)),
    type,
  }));
}

/** The type of the first pattern that is found in the name. */
export function findOverride(
  overrides: readonly CompiledOverride[],
  name: string,
): BlockTypeName | undefined {
  return overrides.find(({ expression }) => expression.test(name))?.type;
}

/** As llama-quantize does: tensor names have no capitals. `\S` becomes `\s`, there as here. */
export function lowerCase(pattern: string): string {
  return pattern.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

// Forms that JavaScript reads and C++, with which llama-quantize searches, refuses or reads
// otherwise: a pattern must not mean one thing there and another here.
const foreignForms: readonly (readonly [form: RegExp, reason: string])[] = [
  [/[^\x20-\x7e]/, 'it holds a character outside printable ASCII'],
  [/\(\?(?![:=!])/, 'of the (? forms only (?:, (?= and (?! can be used'],
  [/\[[^\]]*\[[:.=]/, 'classes such as [:digit:] cannot be used; write \\d or [0-9]'],
  [/\[\^?\]/, 'an empty set [] can never be found'],
  [/\\(?:c|p|u\{)/, 'the escapes \\c, \\p and \\u{} cannot be used'],
];

function compilePattern(pattern: string): PatternSearch {
  const refuse = (why: string, cause?: unknown) =>
    new FaultError(
      recipeFaults.badPattern,
      { key: pattern.slice(0, PATTERN_CHARACTERS_MAX), why },
      { cause },
    );
  if (pattern.length === 0) throw refuse('it is empty');
  if (pattern.length > PATTERN_CHARACTERS_MAX) {
    throw refuse(`it is longer than ${PATTERN_CHARACTERS_MAX} characters`);
  }
  const foreign = foreignForms.find(([form]) => form.test(pattern));
  if (foreign !== undefined) throw refuse(foreign[1]);
  try {
    // The u asks for the strict grammar, which is close to that of C++: a lone { is an error.
    new RegExp(pattern, 'u');
    return new PatternSearch(pattern);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : 'it cannot be read', error);
  }
}
