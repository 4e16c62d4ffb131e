/**
 * Lock: the pure part of a lockfile, from a run whose outputs are sealed.
 *
 *   model + request + calibration + digests ──▶ pureLockOf ──▶ PureLock   (proto/lockfile.ts)
 */

import {
  LOCK_SCHEMA,
  type LockedCalibration,
  type LockedOutput,
  type LockFile,
  type PureLock,
  type Wishes,
  wishes as wishesSchema,
} from '../../../proto/lockfile.ts';
import type { CalibrationRequest, QuantizeRequest } from '../../../proto/requests.ts';
import type { Model } from '../models/family.ts';
import { CONTRACT, digestFields, hex, type Sha256 } from '../plan/unit-id.ts';

/** The program whose types and blocks ours are. */
export const RULES = 'llama.cpp v0.5.0';

/** What the program at hand computes by: hashes that its kernels gave when they were tested. */
export interface SelfTests {
  readonly quantizers: string;
  readonly forward: string;
}

export interface LockFacts {
  readonly version: string;
  readonly selfTests: SelfTests;
  readonly model: Model;
  readonly wishes: Wishes;
  readonly source: PureLock['source'];
  readonly calibration: LockedCalibration | undefined;
  readonly imatrix: PureLock['imatrix'];
  readonly outputs: readonly LockedOutput[];
  readonly sha256: Sha256;
}

// Files that the vocabulary and the chat template are read from.
const TOKENIZER_FILES =
  /^(tokenizer.*\.json|chat_template\.(jinja|json)|special_tokens_map\.json)$/;

export function pureLockOf(facts: LockFacts): Omit<PureLock, 'files'> {
  const { model, source, selfTests, calibration, imatrix } = facts;
  const tokenizer = source.files.filter(({ file }) => TOKENIZER_FILES.test(file));
  const fields = tokenizer.flatMap(({ file, sha256 }) => [file, sha256]);
  return {
    schema: LOCK_SCHEMA,
    quantd: facts.version,
    contracts: {
      rules: RULES,
      quantizers: selfTests.quantizers,
      measuring: { name: CONTRACT, selfTest: selfTests.forward },
    },
    model: {
      name: facts.wishes.name,
      architecture: model.shape.architecture,
      tensors: model.tensors.length,
      elements: model.tensors.reduce(
        (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
        0,
      ),
    },
    source,
    ...(tokenizer.length === 0
      ? {}
      : { tokenizer: hex(digestFields(facts.sha256, ['tokenizer', ...fields])) }),
    wishes: facts.wishes,
    ...(calibration === undefined ? {} : { calibration }),
    ...(imatrix === undefined ? {} : { imatrix }),
    outputs: [...facts.outputs],
  };
}

/** What was asked for, without where things lie; `name` as it was found. */
export function wishesOf(request: QuantizeRequest, name: string): Wishes {
  const {
    kind,
    source,
    hub,
    keepSource,
    out,
    overwrite,
    imatrix,
    calibration,
    dryRun,
    assembly,
    ...wishes
  } = request;
  return wishesSchema.parse({ ...wishes, name });
}

/** How a calibration was cut, without its texts and without who measured it. */
export function calibrationOptions(request: CalibrationRequest): LockedCalibration['options'] {
  // The text that comes along is one of the release's own texts like any other.
  const { files, default: isDefault, replicas, waveChunks, ...options } = request;
  return options;
}

/** The file's text: a line for each field, so that a change of one can be seen in a comparison. */
export function encodeLock(file: LockFile): string {
  const text = JSON.stringify(file, undefined, 1);
  // A tensor, a line.
  const rows = text.replace(
    /\[\n +("[^"]*"),\n +("[^"]*"),\n +("[0-9a-f]{64}")\n +\]/g,
    '[$1, $2, $3]',
  );
  return `${rows}\n`;
}
