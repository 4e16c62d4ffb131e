/**
 * Write imatrix: an importance matrix as a file, whole or not at all.
 *
 *   ImportanceMatrix ──▶ bytes ──▶ <file>.part ──▶ <file>
 */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import { encodeDat, encodeGguf } from '../core/importance/encode-imatrix.ts';
import type { ImportanceMatrix } from '../core/importance/importance-matrix.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { Kernels, OutputDirectory } from '../ports.ts';
import { outputFaults } from './faults.ts';

export interface ImatrixPlace {
  readonly directory: string;
  readonly file: string;
  readonly format: 'gguf' | 'dat';
  readonly overwrite: boolean;
}

interface WritePorts {
  readonly openOutputs: (directory: string) => Promise<OutputDirectory>;
  readonly kernels: Pick<Kernels, 'sha256'>;
}

/**
 * The same matrix that stands there already is left as it is.
 * @throws FaultError where another file has its name
 */
export async function writeImatrix(
  matrix: ImportanceMatrix,
  { directory: place, file: name, format, overwrite }: ImatrixPlace,
  { openOutputs, kernels }: WritePorts,
): Promise<RunEvent> {
  const whole = format === 'dat' ? encodeDat(matrix) : encodeGguf(matrix);
  const bytes = whole.length;
  const sha256 = hex(await kernels.sha256(whole));
  const directory = await openOutputs(place);
  try {
    let file = await directory.open(name, bytes, { overwrite: false });
    const isThere = file.state === 'sealed' || file.state === 'foreign';
    if (isThere && (await file.digest()) === sha256) {
      await file.close();
    } else {
      await file.close();
      if (isThere && !overwrite) throw new FaultError(outputFaults.otherPlan, { file: name });
      file = await directory.open(name, bytes, { overwrite: true });
      await file.restart(new TextEncoder().encode(sha256));
      await file.write(0, whole);
      await file.commit(new Uint8Array(0));
      await file.seal();
      await file.close();
    }
  } finally {
    await directory.close();
  }
  const { entries, chunkCount: chunks } = matrix;
  const path = `${place}/${name}`;
  return { type: 'imatrix', path, sha256, entries: entries.length, chunks, bytes };
}
