/** A fault as a person reads it: what, where, why, and what to do. */

import type { FaultMessage } from '../proto/fault.ts';
import { printable } from './inspect-view.ts';

export function renderFault(fault: FaultMessage): string[] {
  const where = [
    fault.file,
    fault.line !== undefined && `line ${fault.line}`,
    fault.tensor !== undefined && `tensor ${fault.tensor}`,
    fault.key !== undefined && `key ${fault.key}`,
    fault.row !== undefined && `row ${fault.row}`,
    fault.byte !== undefined && `byte ${fault.byte}`,
  ].filter((part) => typeof part === 'string');
  return [
    `error[${fault.code}]: ${fault.what}`,
    ...(where.length > 0 ? [`  --> ${where.join('  ')}`] : []),
    ...(fault.why === undefined ? [] : [`  cause: ${fault.why}`]),
    ...(fault.hint === '' ? [] : [`  hint: ${fault.hint}`]),
    // Names and texts of strangers' files stand in it, which must not move a terminal's cursor.
  ].map(printable);
}
