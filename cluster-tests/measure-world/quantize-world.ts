/**
 * Quantize world: what becomes of a simulated measurement, ahead of its end and behind it.
 *
 *   WorldModel + chunks ──▶ outputs, AheadWork ──▶ measure ──▶ quantize ──▶ the bytes of Account
 */

import type { BlockTypeName } from '../../daemon/core/gguf/block-types.ts';
import { layoutGguf, quantizedOrder } from '../../daemon/core/gguf/layout.ts';
import type { TensorImportance } from '../../daemon/core/importance/importance.ts';
import type { MatrixEntry } from '../../daemon/core/importance/importance-matrix.ts';
import { type OutputRequest, planRun } from '../../daemon/core/plan/plan.ts';
import { adoptedRuns } from '../../daemon/core/schedule/ahead.ts';
import type { Kernels, Network, OutputDirectory, Source } from '../../daemon/ports.ts';
import type { AheadWork } from '../../daemon/roles/ahead.ts';
import { Coordinator } from '../../daemon/roles/coordinator.ts';
import type { Measured } from '../../daemon/roles/measure.ts';
import type { Offer } from '../../daemon/roles/offers.ts';
import { openAssemblers } from '../../daemon/roles/open-assemblers.ts';
import { useMatrix } from '../../daemon/roles/open-imatrix.ts';
import { Progress } from '../../daemon/roles/progress.ts';
import { SourceProof } from '../../daemon/roles/source-proof.ts';
import { Worker } from '../../daemon/roles/worker.ts';
import { Account } from '../simulator/account.ts';
import { falseSignature } from '../simulator/daemons.ts';
import { sha256 } from '../simulator/sha256.ts';
import type { Process } from '../simulator/world.ts';
import { CHUNK_TOKENS, expectedEntries, type WorldModel } from './world-model.ts';

const FILE = 'world-imatrix.gguf';
/** For each output the types of its matrices, in turn; what is one row stays F32. */
const TYPES: readonly (readonly BlockTypeName[])[] = [['Q4_0'], ['Q5_1', 'Q8_0', 'Q4_0', 'BF16']];

/** As the outputs of a real run: the number of chunks stands in the header, and moves nothing. */
function outputsOf({ model }: WorldModel, chunks: number): OutputRequest[] {
  return TYPES.map((choices, index) => {
    const types = new Map<string, BlockTypeName>();
    for (const [at, { name, shape }] of model.tensors.entries()) {
      types.set(name, shape.length > 1 ? (choices[at % choices.length] ?? 'F32') : 'F32');
    }
    const placed = quantizedOrder(model.tensors).map(({ name, shape }) => {
      return { name, shape, type: types.get(name) ?? 'F32' };
    });
    const metadata = [
      { key: 'simulated.output', value: { type: 'u32', value: index } },
      { key: 'simulated.chunks', value: { type: 'u32', value: chunks } },
    ] as const;
    return {
      file: `world-${index}.gguf`,
      layout: layoutGguf({ metadata, tensors: placed }),
      types,
    };
  });
}

async function weigh(
  { model }: WorldModel,
  entries: readonly MatrixEntry[],
  kernels: Pick<Kernels, 'sha256'>,
): Promise<ReadonlyMap<string, TensorImportance>> {
  const matrix = { entries, datasets: [], chunkCount: 0, chunkSize: CHUNK_TOKENS };
  const filters = { include: [], exclude: [] };
  const wanted = { file: FILE, given: FILE, filters };
  return (await useMatrix(matrix, wanted, model.tensors, { kernels })).tensors;
}

/** What the files must be, when these chunks were bad. */
export async function expectedFiles(
  world: WorldModel,
  chunks: number,
  leftOut: ReadonlySet<number>,
): Promise<Account> {
  const entries = expectedEntries(world, chunks, leftOut);
  const { tensors } = world.model;
  const { files } = world;
  const importance = await weigh(world, entries, { sha256: async (bytes) => sha256(bytes) });
  const outputs = outputsOf(world, chunks - leftOut.size);
  return new Account({ tensors, files, importance, outputs });
}

/** One coordinator that measures and quantizes. */
export interface QuantizeLife {
  readonly world: WorldModel;
  readonly process: Process;
  readonly network: Network;
  readonly kernels: Kernels;
  readonly source: Source;
  readonly offer: Offer;
  readonly openDirectory: () => Promise<OutputDirectory>;
  readonly drain: AbortSignal;
}

export function aheadWork(life: QuantizeLife): AheadWork {
  const { world, process, kernels, source, offer, openDirectory } = life;
  return {
    tensors: world.model.tensors,
    fileDigests: world.fileDigests,
    outputs: async ({ calibration }) => outputsOf(world, calibration.chunks.length),
    weigh: (entries) => weigh(world, entries, kernels),
    ...{ openDirectory, kernels, source, offer, sha256, isSigned },
    clock: process.clock,
    onAttested: undefined,
  };
}

/** Units that were made ahead, and those that some output began with. */
export interface UnitsAhead {
  readonly made: number;
  readonly adopted: number;
}

export async function quantize(life: QuantizeLife, measured: Measured): Promise<UnitsAhead> {
  const { world, process, network, kernels, source, offer, drain } = life;
  const { matrix, run, holds, leaves, ahead, chains } = measured;
  const { clock } = process;
  const plan = planRun({
    tensors: world.model.tensors,
    outputs: outputsOf(world, matrix.chunkCount),
    fileDigests: world.fileDigests,
    importance: await weigh(world, matrix.entries, kernels),
    sha256,
  });
  const directory = await life.openDirectory();
  try {
    const parts = { plan, directory, overwrite: false, sha256, ahead: ahead?.runs };
    const opened = await openAssemblers(parts);
    try {
      const coordinator = new Coordinator({
        ...{ plan, source, kernels, clock, holds, leaves },
        worker: new Worker(kernels),
        assemblers: opened.assemblers,
        proof: chains && new SourceProof(plan, chains),
        progress: new Progress(clock, () => undefined),
        cluster: { network, run, isSigned },
        checkSource: () => source.checkUnchanged(),
        onSealed: () => undefined,
        onNotice: (text) => process.world.tell(() => `${process.name} says: ${text}`),
      });
      await coordinator.run(offer, drain);
      const adopted = plan.outputs.flatMap((output) => {
        const runs = adoptedRuns(output, ahead?.runs.get(output.file) ?? []);
        return runs.map(({ run }) => output.runs[run]?.unit);
      });
      // After a crash the outputs go on with what they have.
      const isUsed = opened.runsAdopted > 0;
      return { made: ahead?.units ?? 0, adopted: isUsed ? new Set(adopted).size : 0 };
    } finally {
      await opened.close();
    }
  } finally {
    await directory.close();
  }
}

function isSigned(peer: string, message: Uint8Array, signature: Uint8Array): boolean {
  return Buffer.compare(falseSignature(peer, message), signature) === 0;
}
