/**
 * A damage case: one way a model directory can be wrong, and the fault that must say so.
 *
 *   fresh copy of a fixture ──▶ damage(dir) ──▶ any command ──▶ exactly `code`
 */

import { constants, copyFileSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DamageCase {
  /** What is wrong, to be read after "a checkpoint with". */
  readonly name: string;
  /** The code of the fault, such as QD-2107. */
  readonly code: string;
  /** Edits a fresh copy of fixtures/tiny-gemma4 or tiny-gemma4-k; both have two tensor files. */
  damage(dir: string): void | Promise<void>;
}

const fixtures = join(import.meta.dirname, '../../fixtures');

/** A copy of a fixture in a new temporary directory, which the caller removes. */
export function copyFixture(name: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'quantd-damage-'));
  for (const file of readdirSync(join(fixtures, name))) {
    copyFileSync(join(fixtures, name, file), join(dir, file), constants.COPYFILE_FICLONE);
  }
  return dir;
}
