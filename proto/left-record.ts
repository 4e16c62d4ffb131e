/**
 * The record of left outputs, quantd.left.json: where the outputs of a release lie that are not in its
 * folder. It tells of this cluster alone and is no part of what is published.
 *
 * Writing and reading it: daemon/core/release/left-record.ts.
 */

import * as z from 'zod';

export const LEFT_FILE = 'quantd.left.json';
/** Far more than sixty-four types in a hundred parts each take. */
export const LEFT_BYTES_MAX: number = 16 * 1024 * 1024;

export const LEFT_SCHEMA = 1;
// Longer than any path, name or id of a machine; nothing in it moves a terminal's cursor.
const text = z
  .string()
  .max(1024)
  .regex(/^\P{Cc}+$/u, 'is no line of text');

const leftOutput = z.strictObject({
  /** Its base name. */
  file: z
    .string()
    .max(255)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is no name of an output'),
  bytes: z.number().int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex'),
  /** As the plan has it; the machine knows the file by it. */
  id: z.string().regex(/^[0-9a-f]{64}$/, 'is no id of an output'),
  /** For people. */
  machine: text,
  /** Its name among peers. */
  peer: text,
  /** On that machine. */
  path: text,
});

export const leftRecord = z.strictObject({
  schema: z.literal(LEFT_SCHEMA),
  /** The folder of the outputs on their machines. */
  release: z.string().regex(/^[0-9a-f]{32}$/, 'is no name of a release'),
  outputs: z.array(leftOutput).min(1),
});

export type LeftRecord = z.infer<typeof leftRecord>;
export type LeftOutput = LeftRecord['outputs'][number];
