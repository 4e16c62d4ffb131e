/**
 * Inspect view: a report as the lines a person reads.
 *
 *   InspectReport ──▶ renderInspect ──▶ lines, none wider than the terminal
 *
 * Every text in a report may come from a stranger's file, so nothing that a terminal would obey
 * or that would turn a line around is printed as it is.
 */

import type {
  InspectEntry,
  InspectReport,
  InspectScalar,
  InspectTensor,
  InspectTotals,
  InspectValue,
} from '../proto/inspect.ts';
import { bytesText, countText, tableText } from './format.ts';

// Narrower than this nothing is readable, so lines are allowed to wrap.
const WIDTH_MIN = 40;
// Keys are longer than that in no model; a stranger's may not push the values away.
const KEY_WIDTH_MAX = 48;

/** The lines of a report: what file it is, metadata, tensors, totals, notices. */
export function renderInspect(report: InspectReport, width: number): string[] {
  const columns = Math.max(width, WIDTH_MIN);
  return [
    ...headLines(report),
    '',
    ...section('metadata', metadataRows(report.metadata), [], report.metadata.length),
    '',
    ...section('tensors', tensorRows(report.tensors), [1, 2, 3], report.tensors.length),
    '',
    ...totalLines(report.totals),
    ...report.notices.map((notice) => `note: ${printable(notice)}`),
  ].map((line) => cut(line, columns));
}

function headLines({ kind, file, bytes, version, split }: InspectReport): string[] {
  const format = kind === 'gguf' ? `GGUF version ${version ?? '?'}` : 'safetensors';
  const head = `${printable(file)} · ${format} · ${bytesText(bytes)}`;
  if (split === undefined) return [head];
  const part = `part ${split.part + 1} of ${split.parts}, with ${split.tensors} tensors in all`;
  return [head, part];
}

function section(
  title: string,
  rows: readonly (readonly string[])[],
  right: readonly number[],
  count: number,
): string[] {
  const heading = `${title} (${count})`;
  return count === 0 ? [heading] : [heading, ...tableText(rows, right).map((row) => `  ${row}`)];
}

function metadataRows(metadata: readonly InspectEntry[]): string[][] {
  return metadata.map(({ key, value }) => [
    cut(printable(key), KEY_WIDTH_MAX),
    typeText(value),
    valueText(value),
  ]);
}

function isArray(value: InspectValue): value is Extract<InspectValue, { type: 'array' }> {
  return value.type === 'array';
}

function typeText(value: InspectValue): string {
  return isArray(value) ? `${value.of}[${value.length}]` : value.type;
}

function valueText(value: InspectValue): string {
  if (isArray(value)) {
    const shown = value.first.map(elementText).join(', ');
    const more = value.length > value.first.length ? ', …' : '';
    return `[${shown}${more}]`;
  }
  const text = printable(String(value.value));
  return value.length === undefined ? text : `${text}… (${value.length} characters)`;
}

function elementText(element: InspectScalar): string {
  return typeof element === 'string' ? `"${printable(element)}"` : String(element);
}

// The name comes last: it is the widest, and the one that can be cut without loss.
function tensorRows(tensors: readonly InspectTensor[]): string[][] {
  return [
    ['type', 'shape', 'bytes', 'offset', 'name'],
    ...tensors.map(({ type, shape, bytes, offset, name }) => [
      type,
      shape.length === 0 ? 'scalar' : shape.join(' × '),
      String(bytes),
      String(offset),
      printable(name),
    ]),
  ];
}

function totalLines({ elements, bytes, bitsPerWeight, types }: InspectTotals): string[] {
  const total =
    `total: ${countText(elements)} elements · ${bytesText(bytes)} · ` +
    `${bitsPerWeight.toFixed(3)} bits per weight`;
  const rows = types.map((type) => [
    type.type,
    `${type.tensors} ${type.tensors === 1 ? 'tensor' : 'tensors'}`,
    `${countText(type.elements)} elements`,
    bytesText(type.bytes),
    `${bytes === 0 ? '0.0' : ((100 * type.bytes) / bytes).toFixed(1)} %`,
  ]);
  return [total, ...tableText(rows, [1, 2, 3, 4]).map((row) => `  ${row}`)];
}

// Control, format (they reverse a line), private-use and unassigned characters, line separators.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text with everything that a terminal would not simply print written as an escape. */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (found) => ESCAPES[found] ?? `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

// East Asian wide letters and emoji take two columns, combining marks none.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const NARROWER = /\p{M}/u;
const LATIN = /^[ -~]*$/;

function columnsOf(character: string): number {
  if (WIDE.test(character)) return 2;
  return NARROWER.test(character) ? 0 : 1;
}

/** The text, or as much of its beginning as fits into `width` columns with an ellipsis. */
export function cut(text: string, width: number): string {
  if (text.length <= width && LATIN.test(text)) return text;
  let used = 0;
  let end = 0;
  // Where the text has to end to leave a column for the ellipsis.
  let fitting = 0;
  for (const character of text) {
    used += columnsOf(character);
    if (used > width) return `${text.slice(0, fitting)}…`;
    end += character.length;
    if (used < width) fitting = end;
  }
  return text;
}
