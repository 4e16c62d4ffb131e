/**
 * Option values: the texts behind options as lists and numbers.
 *
 *   text (and what came before) ──▶ list, layers, collect, wholeNumber ──▶ values
 */

import { InvalidArgumentError } from 'commander';

/** Values with commas between them, after those of the same option before. */
export function list(text: string, before: readonly string[]): string[] {
  return [
    ...before,
    ...text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  ];
}

/** Numbers of layers, with commas between them. */
export function layers(text: string, before: readonly number[]): number[] {
  const numbers = list(text, []).map((part) => {
    if (/^\d{1,6}$/.test(part)) return Number(part);
    throw new InvalidArgumentError(`${JSON.stringify(part)} is no number of a layer.`);
  });
  return [...before, ...numbers];
}

/** One value, after those of the same option before. */
export function collect(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

// What the local API takes for a number of chunks or tokens.
const NUMBER_MAX = 2 ** 31 - 1;

/** A whole number of at least `least`. */
export function wholeNumber(least: number, most = NUMBER_MAX): (text: string) => number {
  return (text) => {
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    const range = most === NUMBER_MAX ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

const UNIT_BYTES: Readonly<Record<string, number>> = { M: 10 ** 6, G: 10 ** 9 };

/** Bytes of a size as llama-gguf-split takes it. */
export function partBytes(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6})([MG])$/.exec(text) ?? [];
  const bytes = Number(digits) * (UNIT_BYTES[unit] ?? 0);
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError('It must be a number with M or G behind it, such as 500M or 20G.');
}
