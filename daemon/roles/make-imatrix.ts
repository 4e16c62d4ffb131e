/**
 * Make imatrix: a request for an importance matrix alone, from its source to the sealed file.
 *
 *   MakeImatrixRequest ──▶ measured, or read from files, or both added up ──▶ .gguf or .dat
 */

import type { RunEvent } from '../../proto/api.ts';
import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type { CalibrationRequest, MakeImatrixRequest } from '../../proto/requests.ts';
import type { Calibration } from '../core/calibration/chunks.ts';
import type { ImportanceMatrix } from '../core/importance/importance-matrix.ts';
import { measuredEntries } from '../core/importance/measured.ts';
import { mergeMatrices } from '../core/importance/merge-files.ts';
import { statisticsOf } from '../core/importance/show-statistics.ts';
import { sumsBytes } from '../core/importance/statistics.ts';
import { forwardOf } from '../core/models/families.ts';
import { measuredModel } from '../core/models/measured-model.ts';
import type { Source } from '../ports.ts';
import type { AheadWork } from './ahead.ts';
import { type DescribedSource, describeSource } from './describe-source.ts';
import { tellRepository } from './fetch-source.ts';
import { fingerprint } from './fingerprint.ts';
import { type Measured, measure } from './measure.ts';
import { measureFaults } from './measure-faults.ts';
import { Progress } from './progress.ts';
import { readMatrix } from './read-imatrix.ts';
import type { RunPorts } from './run.ts';
import { writeImatrix } from './write-imatrix.ts';

type Report = (event: RunEvent) => void;

interface Telling {
  readonly report: Report;
  readonly progress: Progress;
  readonly drain: AbortSignal;
  readonly goesOn: boolean;
}

/** @throws FaultError whatever stopped it; what was measured is kept and gone on with */
export async function makeImatrix(
  request: MakeImatrixRequest,
  ports: RunPorts,
  report: Report,
  drain: AbortSignal,
): Promise<void> {
  const startMs = ports.clock.now();
  const files = [];
  for (const { path } of request.inFiles) {
    const { file } = ports.splitPath(path);
    files.push(await readMatrix(ports.openFile, { path, file }));
  }
  const telling = { report, drain, progress: new Progress(ports.clock, report), goesOn: false };
  const { calibration } = request;
  const place = { ...request, signal: drain };
  const source = calibration && (await ports.openSource(request.source, place));
  try {
    const measured =
      source && (await measureAlone({ ...request, calibration }, source, ports, telling));
    const matrix = files.length === 0 ? measured?.matrix : mergeMatrices(files, measured?.matrix);
    assert(matrix !== undefined, 'there is a text or a file');
    const { directory, file } = ports.splitPath(request.out);
    const into = { directory, file, format: request.format, overwrite: request.overwrite };
    report(await writeImatrix(matrix, into, ports));
    if (request.showStatistics) report({ type: 'statistics', ...statisticsOf(file, matrix) });
    await measured?.forget();
    await source?.remote?.forget(false);
  } finally {
    await source?.close();
  }
  report({
    type: 'done',
    seconds: (ports.clock.now() - startMs) / 1000,
    ...{ sourceBytes: 0, sourceBytesRead: 0, unitsMade: 0, outputs: 0, peers: [] },
  });
}

async function measureAlone(
  request: MakeImatrixRequest & { readonly calibration: CalibrationRequest },
  source: Source,
  ports: RunPorts,
  telling: Telling,
): Promise<Measured> {
  const { report, progress, drain } = telling;
  const described = await describeSource(source, request, drain);
  tellRepository(source, report);
  for (const text of described.notices) report({ type: 'notice', text });
  const { model, files } = described;
  const digests = await fingerprint(source, model, files, progress, drain);
  return await measureSource(request, described, digests, source, { ports, telling });
}

/**
 * Measures a source that has been described and fingerprinted; of a hub it is fetched, by this machine
 * or by each its part.
 * @throws FaultError QD-5305 where it is no checkpoint
 */
export async function measureSource(
  request: {
    readonly calibration: CalibrationRequest;
    readonly kind: string;
    readonly keepSource?: boolean | undefined;
  },
  described: DescribedSource,
  fileDigests: ReadonlyMap<string, string>,
  source: Source,
  {
    ports,
    telling,
    ahead,
  }: {
    readonly ports: RunPorts;
    readonly telling: Telling;
    readonly ahead?: AheadWork | undefined;
  },
): Promise<Measured> {
  const { checkpoint } = described;
  if (checkpoint === undefined) throw new FaultError(measureFaults.gguf);
  // Where it lies and who asks change nothing; every wish that makes other bytes does.
  const purpose = JSON.stringify({
    ...request,
    source: '',
    out: '',
    overwrite: false,
    calibration: '',
    hub: undefined,
    keepSource: undefined,
  });
  const wanted = {
    calibration: request.calibration,
    source,
    checkpoint,
    described,
    fileDigests,
    purpose,
    ahead,
    keepSource: request.keepSource === true,
  };
  const network = ports.network();
  const measured = await measure(wanted, { ...ports, network }, telling);
  await source.checkUnchanged();
  return measured;
}

/** A matrix of the right size in which nothing has been measured: for a plan of what would be made. */
export function unmeasuredMatrix(
  { checkpoint }: DescribedSource,
  request: CalibrationRequest,
  calibration: Pick<Calibration, 'datasets' | 'chunks' | 'chunkTokens'>,
): ImportanceMatrix {
  if (checkpoint === undefined) throw new FaultError(measureFaults.gguf);
  const head = { perplexity: false, output: request.processOutput };
  const model = measuredModel(forwardOf(checkpoint), request.ctx, head);
  const layers = model.statistics.map((statistics) => ({
    statistics,
    bytes: new Uint8Array(sumsBytes(statistics)),
  }));
  return {
    entries: measuredEntries(layers),
    datasets: calibration.datasets,
    chunkCount: calibration.chunks.length,
    chunkSize: calibration.chunkTokens,
  };
}
