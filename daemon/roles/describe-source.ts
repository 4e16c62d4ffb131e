/**
 * Describes a source: the model in a checkpoint or in a GGUF, and what its outputs are called.
 *
 *   Source + ModelRequest ──▶ describeSource ──▶ DescribedSource  (read next: core/plan/outputs.ts)
 */

import { FaultError } from '../../proto/fault.ts';
import type { ModelRequest } from '../../proto/requests.ts';
import type { Checkpoint, SourceFile } from '../core/checkpoint/checkpoint.ts';
import { describeModel } from '../core/models/families.ts';
import type { Model } from '../core/models/family.ts';
import { ggufModelFaults } from '../core/models/gguf-faults.ts';
import { describeGguf, fileStem } from '../core/models/gguf-model.ts';
import { pruneLayers } from '../core/models/prune.ts';
import { PLAIN_NAME } from '../core/release/rebuild.ts';
import type { Source } from '../ports.ts';
import { runFaults } from './faults.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { openGguf } from './open-gguf.ts';

export interface DescribedSource {
  readonly model: Model;
  /** Undefined where the source is a GGUF. */
  readonly checkpoint?: Checkpoint;
  /** What the outputs' names begin with. */
  readonly name: string;
  /** Every file that tensors lie in. */
  readonly files: readonly SourceFile[];
  /** What the user should know and need not act on, one sentence each. */
  readonly notices: readonly string[];
}

/** @throws FaultError whatever is wrong with the source, or with the name or the layers asked for */
export async function describeSource(
  source: Source,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<DescribedSource> {
  const whole =
    source.named === undefined
      ? await describeDirectory(source, request, signal)
      : await describeFile(source, source.named, request, signal);
  const layers = request.kind === 'quantize' ? request.pruneLayers : [];
  const { model, perLayerKeys } = pruneLayers(whole.model, layers);
  const notices = [
    ...whole.notices,
    ...perLayerKeys.map((key) => `${key} still has a value for each layer that was left out`),
  ];
  return { ...whole, model, notices };
}

async function describeDirectory(
  source: Source,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<DescribedSource> {
  const { checkpoint, notices } = await openCheckpoint(source, signal);
  const name = checkName(request.name ?? repositoryName(source) ?? statedName(checkpoint));
  const model = describeModel(checkpoint, name);
  const leftOut = model.leftOut.map(({ count, reason }) => `${count} tensors left out: ${reason}`);
  const { files } = checkpoint;
  return { model, checkpoint, name, files, notices: [...notices, ...leftOut] };
}

/** A GGUF of any architecture; its own metadata is left as it is, whatever name is asked for. */
async function describeFile(
  source: Source,
  named: string,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<DescribedSource> {
  if (request.kind === 'convert') throw new FaultError(ggufModelFaults.conversion, { file: named });
  const parts = await openGguf(source, named, signal);
  const model = describeGguf(parts);
  const files = parts.map(({ file, gguf }) => ({ file, bytes: gguf.fileBytes }));
  return { model, name: checkName(request.name ?? fileStem(model)), files, notices: [] };
}

function repositoryName({ remote }: Source): string | undefined {
  return remote?.repository.replace(/^.*\//, '');
}

/**
 * The model's name where none is asked for and no repository gives one: as the config says. Never
 * the folder's name: where a checkpoint lies must not change a byte of what is made of it.
 */
function statedName({ config }: Checkpoint): string {
  const stated = [config['_name_or_path'], config['model_type']].find(
    (value) => typeof value === 'string' && value !== '',
  );
  return String(stated ?? 'model').replace(/^.*[/\\]/, '');
}

function checkName(name: string): string {
  if (PLAIN_NAME.test(name)) return name;
  throw new FaultError(runFaults.modelName, { why: JSON.stringify(name) });
}
