/**
 * Run: one request of the user from its source to its sealed outputs.
 *
 *   RunRequest ──▶ source ──▶ model ──▶ outputs ──▶ plan ──▶ Coordinator ──▶ RunEvents
 */

import type { OutputSummary, RunEvent } from '../../proto/api.ts';
import { assert } from '../../proto/assert.ts';
import { FaultError } from '../../proto/fault.ts';
import type { QuantizeRequest, RunRequest } from '../../proto/requests.ts';
import { checkRunRequest } from '../core/calibration/check-request.ts';
import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import { importanceFaults } from '../core/importance/faults.ts';
import { coverageNotices, type Importance } from '../core/importance/importance.ts';
import { parseCompat } from '../core/importance/importance-keys.ts';
import type { Model } from '../core/models/family.ts';
import { parseKeyOverride } from '../core/plan/key-overrides.ts';
import {
  type OutputOptions,
  type OutputPlan,
  planConversion,
  planOutputs,
} from '../core/plan/outputs.ts';
import { type Plan, planRun } from '../core/plan/plan.ts';
import { digestFields, hex, type Sha256 } from '../core/plan/unit-id.ts';
import { parseBlockType, parseFtype } from '../core/recipe/ftypes.ts';
import { parseTensorTypeOption } from '../core/recipe/overrides.ts';
import type { Clock, Kernels, Network, OutputDirectory, Source } from '../ports.ts';
import { Assembler } from './assembler.ts';
import { Coordinator } from './coordinator.ts';
import { describeSource } from './describe-source.ts';
import { outputFaults } from './faults.ts';
import { type Offer, placementOf } from './offers.ts';
import type { CalibrationPorts } from './open-calibration.ts';
import { type ImportancePorts, openImatrix } from './open-imatrix.ts';
import { Progress } from './progress.ts';
import { Worker } from './worker.ts';

export interface RunPorts
  extends Pick<CalibrationPorts, 'openTokenizer' | 'openTemplate' | 'defaultText'> {
  readonly openSource: (path: string) => Promise<Source>;
  /** Any one file, such as an importance matrix. */
  readonly openFile: ImportancePorts['openFile'];
  readonly openOutputs: (directory: string) => Promise<OutputDirectory>;
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly sha256: Sha256;
  /** Directory and base name of a path, as the operating system writes them. */
  readonly splitPath: (path: string) => { directory: string; file: string };
  readonly offer: Offer;
  /** The members of the cluster; undefined for a daemon that belongs to none. */
  readonly network: () => Network | undefined;
}

type Report = (event: RunEvent) => void;

/**
 * Runs `request` to its end; resolves when every output is sealed.
 * @throws FaultError whatever stopped it; outputs that are not sealed can be continued
 */
export async function run(
  request: RunRequest,
  ports: RunPorts,
  report: Report,
  drain: AbortSignal,
): Promise<void> {
  checkRunRequest(request);
  const startMs = ports.clock.now();
  const progress = new Progress(ports.clock, report);
  // Before anything is read: what is wrong with the options is wrong with any source.
  const options = request.kind === 'quantize' ? optionsOf(request) : undefined;
  const source = await ports.openSource(request.source);
  try {
    const { model, name, files, notices } = await describeSource(source, request, drain);
    for (const text of notices) report({ type: 'notice', text });
    const importance = await importanceOf(request, model, ports);
    const outputs = outputsOf(request, model, name, ports, options && { ...options, importance });
    for (const text of new Set(outputNotices(importance, model, outputs))) {
      report({ type: 'notice', text });
    }
    const isDryRun = options?.dryRun ?? false;
    const fileDigests = isDryRun
      ? new Map(files.map(({ file }) => [file, 'not read']))
      : await fingerprint(source, model, files, progress, drain);
    const plan = planRun({
      tensors: model.tensors,
      outputs,
      fileDigests,
      sha256: ports.sha256,
      ...(importance === undefined ? {} : { importance: importance.tensors }),
    });
    const planned: Planned = { request, plan, outputs, model, name };
    const made = isDryRun
      ? tellPlan(planned, ports, report)
      : await make(planned, source, ports, { report, progress, drain });
    report({
      type: 'done',
      seconds: (ports.clock.now() - startMs) / 1000,
      sourceBytes: plan.sourceBytes,
      ...made,
      outputs: isDryRun ? 0 : outputs.length,
    });
  } finally {
    await source.close();
  }
}

interface Planned {
  readonly request: RunRequest;
  readonly plan: Plan;
  readonly outputs: readonly OutputPlan[];
  readonly model: Model;
  readonly name: string;
}

interface Telling {
  readonly report: Report;
  readonly progress: Progress;
  readonly drain: AbortSignal;
}

type Made = Pick<Extract<RunEvent, { type: 'done' }>, 'unitsMade' | 'sourceBytesRead' | 'peers'>;

/** What a run would do, and nothing of it. */
function tellPlan(planned: Planned, ports: RunPorts, report: Report): Made {
  report(planEvent(planned, [], ports));
  const peers = placementOf(planned.plan, ports.offer, ports.network());
  if (peers.length > 1) report({ type: 'placement', peers });
  return { unitsMade: 0, sourceBytesRead: 0, peers: [] };
}

/** Opens the outputs, makes what they lack and seals them. */
async function make(
  planned: Planned,
  source: Source,
  ports: RunPorts,
  { report, progress, drain }: Telling,
): Promise<Made> {
  const { request, plan, outputs } = planned;
  const place = outputDirectory(request, ports);
  const directory = await ports.openOutputs(place);
  const assemblers: Assembler[] = [];
  try {
    for (const output of plan.outputs) {
      assemblers.push(await Assembler.open(output, request.overwrite, { directory, ...ports }));
    }
    await checkRoom(directory, assemblers);
    report(planEvent(planned, assemblers, ports));
    const network = ports.network();
    const coordinator = new Coordinator({
      plan,
      source,
      worker: new Worker(ports.kernels),
      kernels: ports.kernels,
      assemblers,
      progress,
      clock: ports.clock,
      ...(network === undefined ? {} : { cluster: { network, run: runId(plan, ports.sha256) } }),
      onNotice: (text) => report({ type: 'notice', text }),
      onPlaced: (peers) => {
        if (peers.length > 1) report({ type: 'placement', peers });
      },
      checkSource: () => source.checkUnchanged(),
      onSealed: (index, sha256) => {
        const output = outputs[index];
        if (output === undefined) return;
        report({ type: 'output', ...summary(output), sha256, path: `${place}/${output.file}` });
      },
    });
    await coordinator.run(ports.offer, drain);
    const peers = coordinator.shares().map(({ peer: _, ...work }) => work);
    return {
      unitsMade: coordinator.unitsMade,
      sourceBytesRead: peers.reduce((sum, { sourceBytes }) => sum + sourceBytes, 0),
      peers,
    };
  } finally {
    await Promise.all(assemblers.map((assembler) => assembler.close()));
    await directory.close();
  }
}

// Sixteen bytes tell all the runs apart that a cluster will ever see.
const RUN_ID_DIGITS = 32;

/** The same for every run of the same outputs, so that a run that goes on is known again. */
function runId({ outputs }: Plan, sha256: Sha256): string {
  const ids = outputs.map(({ id }) => id);
  return hex(digestFields(sha256, ids)).slice(0, RUN_ID_DIGITS);
}

type Wishes = Omit<OutputOptions, 'importance'>;

/** What the options ask for; importance is still to be read. */
function optionsOf(request: QuantizeRequest): Wishes {
  const { outputTensorType, tokenEmbeddingType, imatrix } = request;
  const filters = [...request.includeWeights, ...request.excludeWeights];
  if (imatrix === undefined && filters.length > 0) {
    throw new FaultError(importanceFaults.filterAlone);
  }
  return {
    tensorTypes: request.tensorTypes.map(parseTensorTypeOption),
    leaveOutputTensor: request.leaveOutputTensor,
    pure: request.pure,
    allowRequantize: request.allowRequantize,
    keepSplit: request.keepSplit,
    overrides: request.overrideKv.map(parseKeyOverride),
    compat: parseCompat(request.compat),
    dryRun: request.dryRun,
    ...(outputTensorType === undefined
      ? {}
      : { outputTensorType: parseBlockType(outputTensorType) }),
    ...(tokenEmbeddingType === undefined
      ? {}
      : { tokenEmbeddingType: parseBlockType(tokenEmbeddingType) }),
  };
}

async function importanceOf(
  request: RunRequest,
  model: Model,
  ports: RunPorts,
): Promise<Importance | undefined> {
  if (request.kind !== 'quantize' || request.imatrix === undefined) return undefined;
  const filters = { include: request.includeWeights, exclude: request.excludeWeights };
  return await openImatrix({ ...request.imatrix, filters }, model.tensors, ports);
}

function outputsOf(
  request: RunRequest,
  model: Model,
  name: string,
  ports: RunPorts,
  options: OutputOptions | undefined,
): OutputPlan[] {
  if (request.kind === 'quantize' && options !== undefined) {
    return planOutputs(model, name, request.types.map(parseFtype), options);
  }
  assert(request.kind === 'convert', 'a quantization has its options');
  return [planConversion(model, ports.splitPath(request.out).file, parseFtype(request.type))];
}

function outputNotices(
  importance: Importance | undefined,
  model: Model,
  outputs: readonly OutputPlan[],
): string[] {
  return [
    ...(importance?.notices ?? []),
    ...(importance === undefined ? [] : coverageNotices(importance, model.tensors, outputs)),
    ...outputs.flatMap(({ notices }) => notices),
  ];
}

function outputDirectory(request: RunRequest, { splitPath }: RunPorts): string {
  return request.kind === 'convert' ? splitPath(request.out).directory : request.out;
}

/** The digest of every file that a wanted tensor lies in. */
async function fingerprint(
  source: Source,
  model: Model,
  all: readonly SourceFile[],
  progress: Progress,
  drain: AbortSignal,
): Promise<Map<string, string>> {
  const wanted = new Set(
    model.tensors.flatMap((tensor) =>
      tensor.source.kind === 'generated' ? [] : tensor.source.parts.map(({ file }) => file),
    ),
  );
  const files = all.filter(({ file }) => wanted.has(file));
  progress.begin(
    'fingerprint',
    files.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const digests = await Promise.all(
    files.map(async ({ file, bytes }) => {
      const digest = await source.digest(file, drain);
      progress.add(bytes);
      return [file, digest] as const;
    }),
  );
  return new Map(digests);
}

// Room that stays free for the system and for the journals.
const RESERVE_BYTES = 64 * 1024 * 1024;

async function checkRoom(
  directory: OutputDirectory,
  assemblers: readonly Assembler[],
): Promise<void> {
  const needed = assemblers.reduce((sum, { output, isSealed, allocatedBytes }) => {
    return sum + (isSealed ? 0 : Math.max(0, output.layout.fileBytes - allocatedBytes));
  }, 0);
  const free = await directory.freeBytes();
  if (needed === 0 || needed + RESERVE_BYTES <= free) return;
  throw new FaultError(outputFaults.notEnoughDisk, {
    why: `${needed} bytes are still to be written, ${free} are free`,
  });
}

function summary({ file, ftype, layout, bitsPerWeight }: OutputPlan): OutputSummary {
  return { file, ftype: ftype.name, bytes: layout.fileBytes, bitsPerWeight };
}

function planEvent(
  { plan, outputs, model, name }: Planned,
  assemblers: readonly Assembler[],
  { kernels, offer }: RunPorts,
): RunEvent {
  const elements = model.tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  return {
    type: 'plan',
    model: name,
    architecture: model.shape.architecture,
    tensors: model.tensors.length,
    elements,
    sourceBytes: plan.sourceBytes,
    tasks: plan.tasks.length,
    units: plan.tasks.reduce((sum, { runs }) => sum + runs.length, 0),
    outputs: outputs.map((output, index) => ({
      ...summary(output),
      bytesDone: bytesDone(assemblers[index]),
      fallbacks: output.fallbacks,
    })),
    isa: kernels.info.isa,
    // A machine that leaves the work to others still hashes, on threads that nobody asked about.
    threads: offer.bytesPerSecond > 0 ? kernels.info.threads : 0,
  };
}

function bytesDone(assembler: Assembler | undefined): number {
  if (assembler === undefined) return 0;
  const { runs } = assembler.output;
  return assembler.storedRuns().reduce((sum, run) => sum + (runs[run]?.bytes ?? 0), 0);
}
