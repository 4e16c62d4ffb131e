/**
 * Run: one request of the user from its source to its sealed outputs.
 *
 *   RunRequest ──▶ source ──▶ model ──▶ outputs ──▶ plan ──▶ Coordinator ──▶ RunEvents
 */

import type { OutputSummary, PeerWork, RunEvent } from '../../proto/api.ts';
import { assert } from '../../proto/assert.ts';
import type { LeftRecord } from '../../proto/left-record.ts';
import type { PeerId } from '../../proto/peer-messages.ts';
import type { HubAccess, ModelRequest } from '../../proto/requests.ts';
import { checkRunRequest } from '../core/calibration/check-request.ts';
import type { SourceFile } from '../core/checkpoint/checkpoint.ts';
import { coverageNotices, type Importance } from '../core/importance/importance.ts';
import type { Model } from '../core/models/family.ts';
import {
  type OutputOptions,
  type OutputPlan,
  planConversion,
  planOutputs,
} from '../core/plan/outputs.ts';
import { type Plan, planRun, type TaskOrder } from '../core/plan/plan.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import { parseFtype } from '../core/recipe/ftypes.ts';
import type { Recipe } from '../core/recipe/recipe.ts';
import type {
  Clock,
  Kernels,
  MeasurementFiles,
  Network,
  OutputDirectory,
  Source,
} from '../ports.ts';
import { addShares, type MadeAhead } from './ahead.ts';
import { finishOutputs } from './collect-outputs.ts';
import { Coordinator, type CoordinatorParts } from './coordinator.ts';
import { type DescribedSource, describeSource } from './describe-source.ts';
import { attestable, type MadeEarly, quantizeMeanwhile } from './early.ts';
import { type EstimatedRun, estimate } from './estimate.ts';
import { tellRepository } from './fetch-source.ts';
import type { FileChains } from './file-chains.ts';
import { fingerprint } from './fingerprint.ts';
import { makeImatrix } from './make-imatrix.ts';
import type { Measured } from './measure.ts';
import type { Offer } from './offers.ts';
import type { OpenedAssemblers } from './open-assemblers.ts';
import type { CalibrationPorts } from './open-calibration.ts';
import type { ImportancePorts } from './open-imatrix.ts';
import { provideSource } from './open-proof.ts';
import { openRecipe, type RecipePorts } from './open-recipe.ts';
import type { PieceHasher } from './origin-pieces.ts';
import type { OutputAssembler } from './output-assembler.ts';
import { optionsOf } from './output-options.ts';
import { PlacementRecord } from './placement-record.ts';
import type { MeasureTools } from './prepare-measure.ts';
import { Progress } from './progress.ts';
import {
  assemblyEvent,
  isLeft,
  isMadeAlready,
  leftOf,
  openAll,
  releaseOf,
} from './run-assemblers.ts';
import { importanceOf } from './run-importance.ts';
import { placesIn, Worker } from './worker.ts';

/** What a request says of how its source is reached. */
export interface SourceOptions {
  readonly hub?: HubAccess | undefined;
  readonly keepSource?: boolean | undefined;
  /** Ends the asking of a hub that keeps one waiting. */
  readonly signal?: AbortSignal;
}

export interface RunPorts
  extends MeasureTools,
    Pick<CalibrationPorts, 'openTokenizer' | 'openTemplate' | 'defaultText'>,
    Pick<RecipePorts, 'parseToml'> {
  /** A path, or a repository behind `hf:`. */
  readonly openSource: (source: string, options?: SourceOptions) => Promise<Source>;
  /** Any one file, such as an importance matrix. */
  readonly openFile: ImportancePorts['openFile'];
  readonly openOutputs: (directory: string) => Promise<OutputDirectory>;
  readonly kernels: Kernels & PieceHasher;
  readonly clock: Clock;
  /** Seconds that processors have given to the threads of the kernels, and to the whole process. */
  readonly spentSeconds: () => { readonly kernels: number; readonly process: number };
  readonly sha256: Sha256;
  /**
   * What is free where a directory is or would be, and what its files of these names, finished or
   * not, have taken of it already.
   */
  readonly roomOf: (
    directory: string,
    files: readonly string[],
  ) => Promise<{ readonly freeBytes: number; readonly allocatedBytes: number } | undefined>;
  /** Directory and base name of a path, as the operating system writes them. */
  readonly splitPath: (path: string) => { directory: string; file: string };
  readonly offer: Offer;
  /** The members of the cluster; undefined for a daemon that belongs to none. */
  readonly network: () => Network | undefined;
  /** Whether the signature is that peer's. */
  readonly isSigned: (peer: PeerId, message: Uint8Array, signature: Uint8Array) => boolean;
  /** Where it is kept which machine has which output of a plan. */
  readonly openPlacement: (release: string) => Promise<MeasurementFiles>;
}

type Report = (event: RunEvent) => void;

/** What more a release wants of the run that makes its files. */
export interface RunHooks {
  /** The directory of the outputs, by the model's name; else it is the request's own. */
  readonly place?: (name: string) => string;
  /** Called for what was made and is written; of other machines with their signature. */
  readonly onAttested?: CoordinatorParts['onAttested'];
  /** Called when every output is sealed, before the source is closed and `done` is told. */
  readonly finish?: (made: FinishedRun) => Promise<void>;
}

export interface FinishedRun {
  readonly source: Source;
  readonly described: DescribedSource;
  readonly plan: Plan;
  readonly outputs: readonly OutputPlan[];
  readonly place: string;
  readonly peers: readonly PeerWork[];
  /** Outputs that stay on other machines, under the name of their folder there. */
  readonly left: Omit<LeftRecord, 'schema'>;
}

/**
 * Runs what is asked to its end; resolves when every output is sealed.
 * @throws FaultError whatever stopped it; outputs that are not sealed can be continued
 */
export async function run(
  asked: ModelRequest,
  ports: RunPorts,
  report: Report,
  drain: AbortSignal,
  hooks: RunHooks = {},
): Promise<void> {
  const { request, recipe } = await withRecipe(asked, ports);
  checkRunRequest(request);
  if (request.kind === 'imatrix') {
    await makeImatrix(request, ports, report, drain);
    return;
  }
  const startMs = ports.clock.now();
  const progress = new Progress(ports.clock, report);
  // Before anything is read: what is wrong with the options is wrong with any source.
  const options = request.kind === 'quantize' ? optionsOf(request) : undefined;
  const source = await ports.openSource(request.source, { ...request, signal: drain });
  let chains: FileChains | undefined;
  try {
    const described = await describeSource(source, request, drain);
    const { model, name, files, notices } = described;
    tellRepository(source, report);
    for (const text of notices) report({ type: 'notice', text });
    const isDryRun = options?.dryRun ?? false;
    const digests = once(() =>
      isDryRun ? unread(files) : fingerprint(source, model, files, progress, drain),
    );
    const telling = { report, progress, drain };
    const place = hooks.place?.(name) ?? outputDirectory(request, ports);
    const wanted = request.kind === 'quantize' ? { ...request, out: place } : request;
    const sought = recipe && options && { recipe, options, onAttested: hooks.onAttested };
    const weighed = await importanceOf(
      wanted,
      sought,
      { described, digests, source },
      ports,
      telling,
    );
    const { importance, measured, calibration } = weighed;
    chains = measured?.chains;
    const chosen = recipe && options && { recipe, options: { ...options, importance } };
    const outputs = outputsOf(request, model, name, ports, chosen);
    for (const text of new Set(outputNotices(importance, model, outputs))) {
      report({ type: 'notice', text });
    }
    const buffers: ArrayBuffer[] = [];
    const wanting = { tensors: model.tensors, outputs, importance: importance?.tensors };
    const canBeEarly = !isDryRun && measured === undefined && isAlone(source, ports);
    const { fileDigests, madeOf } = await quantizeMeanwhile(digests(), {
      ...{ ...ports, ...wanting, source, canBeEarly, buffers },
      files: files.map(({ file }) => file),
      openDirectory: () => ports.openOutputs(place),
    });
    const { sha256 } = ports;
    const plan = planRun({ ...wanting, fileDigests, sha256, order: orderOf(source) });
    const early = madeOf(plan);
    attest(early, hooks.onAttested);
    const planned: Planned = {
      ...{ request, plan, outputs, described, measured, place },
      ...{ ahead: measured?.ahead ?? early, buffers },
      onAttested: hooks.onAttested,
    };
    const { left, ...made } = isDryRun
      ? await tellPlan(planned, { source, calibration }, ports, report)
      : await make(planned, source, ports, telling);
    if (!isDryRun)
      await hooks.finish?.({ source, described, plan, outputs, place, peers: made.peers, left });
    // Nothing has to be measured again once the outputs are sealed.
    await chains?.end(true);
    await measured?.forget();
    await source.remote?.forget(isDryRun);
    report({
      type: 'done',
      seconds: (ports.clock.now() - startMs) / 1000,
      sourceBytes: plan.sourceBytes,
      ...made,
      outputs: isDryRun ? 0 : outputs.length,
    });
  } finally {
    await chains?.end(false);
    await source.close();
  }
}

/** What comes from a hub is digested on the way, each file from its beginning. */
function orderOf({ remote }: Source): TaskOrder {
  return remote === undefined ? 'outputs' : 'source';
}

/** The request with what the recipe that it names says; of a quantization also the recipe. */
async function withRecipe(
  asked: ModelRequest,
  ports: RunPorts,
): Promise<{ readonly request: ModelRequest; readonly recipe?: Recipe }> {
  return asked.kind === 'quantize' ? await openRecipe(asked, ports) : { request: asked };
}

interface Planned {
  readonly request: ModelRequest;
  /** The directory of the outputs. */
  readonly place: string;
  readonly onAttested: RunHooks['onAttested'];
  readonly plan: Plan;
  readonly outputs: readonly OutputPlan[];
  readonly described: DescribedSource;
  /** Where its importance was measured for it: machines know the run, and hold weights of it. */
  readonly measured: Measured | undefined;
  /** Of tasks, from what was made before it was planned. */
  readonly buffers: ArrayBuffer[];
  /** What was made before it was planned. */
  readonly ahead: Pick<MadeAhead, 'runs' | 'shares' | 'units'> | undefined;
}

interface Telling {
  readonly report: Report;
  readonly progress: Progress;
  readonly drain: AbortSignal;
}

type Made = Pick<Extract<RunEvent, { type: 'done' }>, 'unitsMade' | 'sourceBytesRead' | 'peers'> &
  Pick<FinishedRun, 'left'>;

/** What a run would do, and nothing of it. */
async function tellPlan(
  planned: Planned,
  rest: Pick<EstimatedRun, 'source' | 'calibration'>,
  ports: RunPorts,
  report: Report,
): Promise<Made> {
  report(planEvent(planned, [], ports));
  report(
    await estimate(
      {
        ...planned,
        ...rest,
        isSpread: isLeft(planned),
        keepsSource: planned.request.keepSource === true,
      },
      ports,
    ),
  );
  const left = { release: releaseOf(planned.plan, ports.sha256), outputs: [] };
  return { unitsMade: 0, sourceBytesRead: 0, peers: [], left };
}

/** Opens the outputs, makes what they lack and seals them. */
async function make(
  planned: Planned,
  source: Source,
  ports: RunPorts,
  telling: Telling,
): Promise<Made> {
  const { report, progress, drain } = telling;
  const { plan, outputs, place, measured } = planned;
  const network = ports.network();
  const release = releaseOf(plan, ports.sha256);
  const run = measured?.run ?? release;
  const directory = await ports.openOutputs(place);
  let opened: OpenedAssemblers | undefined;
  try {
    opened = await openAll(planned, directory, { ports, network, run, release, report });
    const { assemblers, outputBytes } = opened;
    report(planEvent(planned, assemblers, ports));
    const meanwhile = measured?.ahead;
    if (meanwhile !== undefined && meanwhile.units > 0) {
      report({ type: 'ahead', units: meanwhile.unitsMeanwhile, runs: opened.runsAdopted });
    }
    const isMade = assemblers.every(isMadeAlready);
    const { chains } = measured ?? {};
    const pool = { ...planned, source, network, run, release, assemblers, isMade, chains };
    const proof = await provideSource(pool, ports, telling);
    if (opened.remotes().length > 0) report(assemblyEvent(opened));
    const tell = (index: number, sha256: string, machine?: string, path?: string): void => {
      const output = outputs[index];
      if (output === undefined) return;
      const where = { path: path ?? `${place}/${output.file}`, ...(machine && { machine }) };
      report({ type: 'output', ...summary(output), sha256, ...where });
    };
    const coordinator = new Coordinator({
      plan,
      source,
      worker: new Worker(ports.kernels, placesIn(plan), planned.buffers),
      kernels: ports.kernels,
      assemblers,
      outputBytes,
      progress,
      proof,
      clock: ports.clock,
      ...(network === undefined ? {} : { cluster: { network, run, isSigned: ports.isSigned } }),
      ...(measured === undefined ? {} : { holds: measured.holds, leaves: measured.leaves }),
      ...(planned.onAttested === undefined ? {} : { onAttested: planned.onAttested }),
      onNotice: (text) => report({ type: 'notice', text }),
      onPlaced: (peers) => {
        if (peers.length > 1) report({ type: 'placement', peers });
      },
      checkSource: () => source.checkUnchanged(),
      onSealed: (index, sha256) => {
        if (assemblers[index]?.isLocal === true) tell(index, sha256);
      },
    });
    await coordinator.run(ports.offer, drain);
    if (network !== undefined) {
      const record = new PlacementRecord(await ports.openPlacement(release));
      const { overwrite } = planned.request;
      const parts = { ...ports, network, run, directory, overwrite, record, progress, drain };
      await finishOutputs(opened, isLeft(planned), parts, {
        onOutput: tell,
        onNotice: (text) => report({ type: 'notice', text }),
      });
    }
    const outputsLeft = isLeft(planned) ? leftOf(opened) : [];
    return { ...madeBy(coordinator, planned), left: { release, outputs: outputsLeft } };
  } finally {
    await opened?.close();
    await directory.close();
  }
}

function madeBy(
  coordinator: Coordinator,
  { measured, ahead }: Pick<Planned, 'measured' | 'ahead'>,
): Omit<Made, 'left'> {
  const pulled = new Map(measured?.shares.map(({ peer, sourceBytes }) => [peer, sourceBytes]));
  const shares = addShares(coordinator.shares(), ahead?.shares ?? []);
  const peers = shares.map(({ peer, sourceBytes, ...work }) => {
    // What a machine was given to measure with, it quantizes without being given it again.
    return { ...work, sourceBytes: sourceBytes + (pulled.get(peer) ?? 0) };
  });
  return {
    unitsMade: coordinator.unitsMade + (ahead?.units ?? 0),
    sourceBytesRead: peers.reduce((sum, { sourceBytes }) => sum + sourceBytes, 0),
    peers,
  };
}

/** Whether this machine does all of it, from files whose digests nobody has told it. */
function isAlone({ remote }: Source, { network, offer }: RunPorts): boolean {
  return remote === undefined && network() === undefined && offer.bytesPerSecond > 0;
}

function attest(early: MadeEarly, onAttested: RunHooks['onAttested']): void {
  for (const made of attestable(early)) onAttested?.({ made });
}

/** In the place of digests, where nothing is made. */
async function unread(files: readonly SourceFile[]): Promise<ReadonlyMap<string, string>> {
  return new Map(files.map(({ file }) => [file, 'not read']));
}

function once<Value>(work: () => Promise<Value>): () => Promise<Value> {
  let working: Promise<Value> | undefined;
  return () => {
    working ??= work();
    return working;
  };
}

function outputsOf(
  request: ModelRequest,
  model: Model,
  name: string,
  ports: RunPorts,
  chosen: { readonly recipe: Recipe; readonly options: OutputOptions } | undefined,
): OutputPlan[] {
  if (chosen !== undefined) return planOutputs(model, name, chosen.recipe.outputs, chosen.options);
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

function outputDirectory(request: ModelRequest, { splitPath }: RunPorts): string {
  return request.kind === 'convert' ? splitPath(request.out).directory : request.out;
}

function summary({ file, ftype, layout, bitsPerWeight }: OutputPlan): OutputSummary {
  return { file, ftype: ftype.name, bytes: layout.fileBytes, bitsPerWeight };
}

function planEvent(
  { plan, outputs, described: { model, name } }: Planned,
  assemblers: readonly OutputAssembler[],
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

function bytesDone(assembler: OutputAssembler | undefined): number {
  if (assembler === undefined) return 0;
  const { runs } = assembler.output;
  return assembler.storedRuns().reduce((sum, run) => sum + (runs[run]?.bytes ?? 0), 0);
}
