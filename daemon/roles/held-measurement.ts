/**
 * Held measurement: this machine's part in one measurement of another machine.
 *
 *   stage lease ──▶ description ──▶ weights ──▶ states, wave by wave ──▶ sums, told until kept
 *
 * Everything here can be lost: what is missing is leased again. Read next: stage-runner.ts (the
 * work), kept-states.ts and kept-sums.ts (what is made), stage-holder.ts (the messages).
 */

import { FaultError } from '../../proto/fault.ts';
import { STAGE_LEASES_MAX } from '../../proto/peer-limits.ts';
import type {
  HeldSums,
  PeerId,
  RunId,
  StageAnswer,
  StageLease,
} from '../../proto/peer-messages.ts';
import { decodeDescription } from '../core/models/description.ts';
import { forwardOf, tensorsOf } from '../core/models/families.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import { measuredModel } from '../core/models/measured-model.ts';
import { rotationsOf } from '../core/models/rotation.ts';
import { sourceBytesOf, weightSources } from '../core/plan/layer-source.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, ForwardKernels, Kernels, LeafStore, Network } from '../ports.ts';
import { FetchedWeights } from './fetched-weights.ts';
import { KeptStates } from './kept-states.ts';
import { KeptSums } from './kept-sums.ts';
import { measureFaults } from './measure-faults.ts';
import type { OriginPieces } from './origin-pieces.ts';
import { PulledWeights } from './pulled-weights.ts';
import { gather, stateBytes } from './stage-io.ts';
import { type StageIo, StageRunner } from './stage-runner.ts';
import { StageWeights, type StageWeightsParts } from './stage-weights.ts';
import { StateInput } from './state-input.ts';

export interface MeasurePorts {
  readonly network: Network;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly openForward: () => ForwardKernels;
  readonly store: LeafStore;
  readonly clock: Clock;
  readonly sha256: Sha256;
  /** What this machine fetches from hubs; none: it does not. */
  readonly origins?: OriginPieces | undefined;
  /** For waves, scratch memory and sums. */
  readonly memoryBytes: number;
  /** Source bytes of weights that memory holds beside that. */
  readonly cacheBytes: number;
}

interface HeldStage {
  lease: StageLease;
  readonly stop: AbortController;
  answer: StageAnswer | undefined;
  saidMs: number;
}

interface OpenModel {
  readonly kernels: ForwardKernels;
  readonly model: MeasuredModel;
  readonly weights: StageWeights;
  readonly runner: StageRunner;
}

const SAY_AGAIN_MS = 5000;
// For a bar that moves.
const WORKING_MS = 300;
const SUMS_IN_A_MESSAGE = 64;
// A message that comes so many leases late is not waited for.
const ENDED_MAX = 4096;

export class HeldMeasurement {
  readonly run: RunId;
  readonly coordinator: PeerId;
  readonly #begun: number;
  readonly #ports: MeasurePorts;
  readonly #leases = new Map<number, HeldStage>();
  /** Leases that are over: run again, the end of that would take along the states they left. */
  readonly #ended = new Set<number>();
  readonly #states: KeptStates;
  readonly #sums: KeptSums;
  readonly #input: StateInput;
  readonly #ending = new AbortController();
  #model: Promise<OpenModel> | undefined;
  /** Where weights come from a hub. */
  #fetched: FetchedWeights | undefined;
  #passed = 0;
  #workingMs = 0;
  /** The coordinator may be another process: it is told what was passed before its time. */
  #isAskedAnew = false;
  /** When the coordinator last spoke of the run. */
  heardMs: number;

  /** @param begun see StageWorking */
  constructor(run: RunId, coordinator: PeerId, begun: number, ports: MeasurePorts) {
    this.run = run;
    this.coordinator = coordinator;
    this.#begun = begun;
    this.#ports = ports;
    this.#states = new KeptStates(run, ports);
    this.#sums = new KeptSums(run, ports);
    const { network, clock } = ports;
    const named = { self: network.self, relay: coordinator };
    this.#input = new StateInput({ network, clock, states: this.#states, ...named });
    this.heardMs = ports.clock.now();
  }

  get leases(): number {
    return this.#leases.size;
  }

  /** A lease that came again may name other peers for its input. */
  take(lease: StageLease): void {
    const known = this.#leases.get(lease.lease);
    if (known !== undefined) {
      known.lease = lease;
      this.#sayAnswer(known);
      return;
    }
    if (this.#ended.has(lease.lease)) return;
    const held = { lease, stop: new AbortController(), answer: undefined, saidMs: 0 };
    this.#leases.set(lease.lease, held);
    void this.#runLease(held);
  }

  /** Answers that have been heard, and leases that are wanted no more. */
  forget(leases: readonly number[]): void {
    for (const lease of leases) {
      this.#ended.add(lease);
      const held = this.#leases.get(lease);
      if (held === undefined) continue;
      this.#leases.delete(lease);
      held.stop.abort();
      // What a lease has left stands until it is released; what one was about to leave is nobody's.
      if (held.answer === undefined) this.release([lease]);
    }
    for (const oldest of this.#ended) {
      if (this.#ended.size <= ENDED_MAX) break;
      this.#ended.delete(oldest);
    }
  }

  release(leases: readonly number[]): void {
    for (const lease of leases) this.#states.release(lease).catch(() => undefined);
  }

  keptSums(digests: readonly Uint8Array[]): void {
    this.#sums.release(digests).catch(() => undefined);
  }

  /** Says what is alive, and again what has not been taken. */
  say(): void {
    const { network, clock } = this.#ports;
    this.#sayWorking();
    for (const held of this.#leases.values()) {
      if (clock.now() - held.saidMs >= SAY_AGAIN_MS) this.#sayAnswer(held);
    }
    const sums = this.#sums.held;
    for (let at = 0; at < sums.length; at += SUMS_IN_A_MESSAGE) {
      const some = sums.slice(at, at + SUMS_IN_A_MESSAGE);
      network.send(this.coordinator, { kind: 'sums-held', run: this.run, sums: some });
    }
  }

  /** Which leases are alive or have left states here, and how far they are. */
  #sayWorking(): void {
    const { network, clock } = this.#ports;
    this.#workingMs = clock.now();
    const running = [...this.#leases.values()].filter(({ answer }) => answer === undefined);
    const leases = new Set([...running.map(({ lease }) => lease.lease), ...this.#states.leases]);
    if (leases.size === 0 && !this.#isAskedAnew) return;
    this.#isAskedAnew = false;
    const said = [...leases].slice(0, STAGE_LEASES_MAX);
    const counts = { passed: this.#passed, begun: this.#begun };
    const { run } = this;
    network.send(this.coordinator, { kind: 'stage-working', run, leases: said, ...counts });
  }

  /** Says at once what a new connection may have missed. */
  sayAgain(): void {
    for (const held of this.#leases.values()) held.saidMs = 0;
    this.#isAskedAnew = true;
    this.say();
  }

  readState(
    boundary: number,
    chunk: number,
    place: { readonly total: number; readonly offset: number; readonly bytes: number },
  ): Promise<Uint8Array | undefined> {
    return this.#states.read(boundary, chunk, place);
  }

  readSums(
    digest: Uint8Array,
    place: { readonly total: number; readonly offset: number; readonly bytes: number },
  ): Promise<Uint8Array | undefined> {
    return this.#sums.read(digest, place);
  }

  /** The leaves of a layer's weights, of those that this machine fetched from a hub. */
  readLeaves(
    layer: number,
    {
      total,
      offset,
      bytes,
    }: { readonly total: number; readonly offset: number; readonly bytes: number },
  ): Uint8Array | undefined {
    const leaves = this.#fetched?.leaves(layer);
    return leaves?.length === total ? leaves.subarray(offset, offset + bytes) : undefined;
  }

  /** Ends what is under way; source bytes stay in the store. */
  async end(): Promise<void> {
    this.#ending.abort();
    this.forget([...this.#leases.keys()]);
    await this.#model?.then(closeModel).catch(() => undefined);
    await this.#states.releaseAll().catch(() => undefined);
    await this.#sums.release(this.#sums.held.map(({ digest }) => digest)).catch(() => undefined);
  }

  async #runLease(held: HeldStage): Promise<void> {
    const { lease, stop } = held;
    const answer = { kind: 'stage-answer', run: this.run, lease: lease.lease } as const;
    try {
      const { model, runner } = await this.#open(lease);
      checkLease(lease, model);
      const task = { ...lease, collect: new Set(lease.collect) };
      const result = await runner.run(task, this.#io(held, model), stop.signal);
      // So that whoever watches sees all of it before the answer.
      this.#sayWorking();
      const detour = this.#fetched?.detour;
      held.answer = { ...answer, ...result, ...(detour === undefined ? {} : { detour }) };
    } catch (error) {
      if (stop.signal.aborted) return;
      held.answer = { ...answer, bad: [], computeMs: 0, ...refusalOf(error) };
    }
    if (this.#leases.get(lease.lease) === held) this.#sayAnswer(held);
  }

  #sayAnswer(held: HeldStage): void {
    if (held.answer === undefined) return;
    held.saidMs = this.#ports.clock.now();
    this.#ports.network.send(this.coordinator, held.answer);
  }

  /** Opened once, for all leases; a failure is tried anew with the next. */
  #open(lease: StageLease): Promise<OpenModel> {
    if (this.#model !== undefined) return this.#model;
    const opening = this.#openModel(lease, this.#ending.signal);
    this.#model = opening;
    opening.catch(() => {
      this.#model = undefined;
    });
    return opening;
  }

  async #openModel(lease: StageLease, signal: AbortSignal): Promise<OpenModel> {
    const { network, kernels, clock, openForward, memoryBytes, cacheBytes } = this.#ports;
    const { run, description: digest, descriptionBytes: bytes } = lease;
    const described = new Uint8Array(bytes);
    const blob = { kind: 'description', run, digest, bytes } as const;
    await network.pull([this.coordinator], blob, described, { signal });
    if (hex(await kernels.sha256(described)) !== hex(digest)) {
      throw new Error('the description is not that of its digest');
    }
    const { checkpoint, fileDigests, positions, head } = decodeDescription(described);
    const pass = forwardOf(checkpoint);
    const model = measuredModel(pass, positions, head);
    const tensors = new Map(tensorsOf(checkpoint).map((tensor) => [tensor.name, tensor]));
    const locate = this.#locator(lease);
    const forward = openForward();
    const weights = new StageWeights({
      layers: model.layers,
      tensors,
      fileDigests,
      angles: pass.tables.map((table) => rotationsOf(table, positions)),
      kernels: forward,
      locate,
    });
    const sizes = model.layers.map((layer) =>
      sourceBytesOf(weightSources(layer.weights, tensors, fileDigests)),
    );
    const runner = new StageRunner({
      model,
      clock,
      layer: (index) => weights.layer(index),
      memoryBytes,
      cacheBytes,
      sourceBytes: (layer) => sizes[layer] ?? 0,
    });
    return { kernels: forward, model, weights, runner };
  }

  /** From the hub that the lease names, else from the coordinator. */
  #locator({ origin }: StageLease): StageWeightsParts['locate'] {
    const { run, coordinator } = this;
    if (origin === undefined) {
      const pulled = new PulledWeights({ ...this.#ports, run, sources: [coordinator] });
      return (...wanted) => pulled.locate(...wanted);
    }
    const { origins } = this.#ports;
    if (origins === undefined) throw new Error('this machine fetches nothing from hubs');
    const fetched = new FetchedWeights({ ...this.#ports, run, origin, origins, coordinator });
    this.#fetched = fetched;
    return (...wanted) => fetched.locate(...wanted);
  }

  #io(held: HeldStage, model: MeasuredModel): StageIo {
    const { run, coordinator } = this;
    const { positions } = model;
    return {
      readState: async (boundary, chunk, into, signal) => {
        const bytes = stateBytes(model.cuts[boundary] ?? [], positions);
        const blob = { kind: 'state', run, boundary, chunk, bytes } as const;
        await this.#input.fill(blob, into, () => held.lease.inputs, signal);
      },
      readInputs: async (layer, chunk, into, signal) => {
        const bytes = stateBytes(model.layers[layer]?.inputs ?? [], positions);
        const blob = { kind: 'layer-inputs', run, layer, chunk, bytes } as const;
        await this.#input.fill(blob, into, () => [coordinator], signal);
      },
      keepState: async (boundary, chunk, from) => {
        if (!held.lease.leavesState) return;
        await this.#states.keep(held.lease.lease, boundary, chunk, gather(from));
      },
      passed: (chunks) => {
        this.#passed += chunks;
        if (this.#ports.clock.now() - this.#workingMs >= WORKING_MS) this.#sayWorking();
      },
      keepSums: async (layer, bytes) => {
        const { group, leftOut } = held.lease;
        this.#announce(await this.#sums.keep(layer, group, leftOut, bytes));
      },
    };
  }

  /** A hint, which may be lost: `say` says it again. */
  #announce(sums: HeldSums): void {
    this.#ports.network.hint({ kind: 'sums-held', run: this.run, sums: [sums] });
  }
}

function closeModel({ weights, kernels }: OpenModel): void {
  weights.close();
  kernels.close();
}

/** What arrives is a claim: layers that the model has, cuts that it allows. */
function checkLease({ from, to, chunks, collect }: StageLease, model: MeasuredModel): void {
  const isStage = to <= model.layers.length && model.cuts[from] !== undefined;
  const isInside = collect.every((layer) => layer >= from && layer < to);
  if (!isStage || model.cuts[to] === undefined || !isInside || chunks.length === 0) {
    throw new Error('the lease is for no stage of the model');
  }
}

/** The source's fault is everyone's; whatever else went wrong, another machine may do better. */
function refusalOf(error: unknown): Pick<StageAnswer, 'fault' | 'declined'> {
  if (error instanceof FaultError && error.toMessage().code.startsWith('QD-52')) {
    return { fault: error.toMessage() };
  }
  const why = error instanceof Error ? error.message : String(error);
  return { declined: why === '' ? measureFaults.weightsMissing.what : why };
}
