/**
 * GGUF view: what splitting, merging and retouching say, as text.
 *
 *   RunEvent ──▶ renderCopy, renderCopied ──▶ lines
 *
 * Keys and values may be a stranger's, so nothing that a terminal would obey is printed as it is.
 */

import type { RunEvent } from '../proto/api.ts';
import { bytesText, tableText } from './format.ts';
import { printable } from './inspect-view.ts';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/** Which files are going to be made, and which keys change. */
export function renderCopy({ source, tensors, bytes, files, changes }: EventOf<'copy'>): string[] {
  const rows = files.map((file) => [
    `  ${file.file}`,
    bytesText(file.bytes),
    `${file.tensors} ${file.tensors === 1 ? 'tensor' : 'tensors'}`,
  ]);
  const keys = changes.map(({ key, from, to }) => [
    `  ${key}`,
    `${from ?? 'not there'} → ${to ?? 'removed'}`,
  ]);
  return [
    `source   ${source} · ${tensors} tensors · ${bytesText(bytes)}`,
    ...tableText(rows, [1, 2]),
    ...(keys.length === 0 ? [] : ['keys', ...tableText(keys, [])]),
  ].map(printable);
}

/** The files that have been made. */
export function renderCopied(files: readonly EventOf<'copied'>[]): string[] {
  const rows = files.map(({ path, bytes, sha256 }) => [path, bytesText(bytes), sha256]);
  return tableText([['file', 'size', 'SHA-256'], ...rows], [1]).map(printable);
}
