/**
 * Plan again: what a release would be if it were made again, from its lockfile and its source.
 *
 *   PureLock + Source + the release's importance matrix ──▶ planAgain ──▶ Plan, and what differs
 */

import type { PureLock } from '../../proto/lockfile.ts';
import type { QuantizeRequest } from '../../proto/requests.ts';
import type { Importance } from '../core/importance/importance.ts';
import { planOutputs } from '../core/plan/outputs.ts';
import { type Plan, planRun } from '../core/plan/plan.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import { comparePlan, compareSource, lockedDigests } from '../core/release/compare-plan.ts';
import type { Finding } from '../core/release/findings.ts';
import type { Source } from '../ports.ts';
import { describeSource } from './describe-source.ts';
import { type ImportancePorts, openImatrix } from './open-imatrix.ts';
import { openRecipe, type RecipePorts } from './open-recipe.ts';
import { optionsOf } from './output-options.ts';

export interface PlannedAgain {
  readonly plan: Plan;
  readonly findings: readonly Finding[];
}

export type PlanPorts = ImportancePorts & RecipePorts & { readonly sha256: Sha256 };

/**
 * @param folder absolute path of the release
 * @throws FaultError whatever is wrong with the source, or with the matrix
 */
export async function planAgain(
  lock: PureLock,
  source: Source,
  { folder, ports }: { readonly folder: string; readonly ports: PlanPorts },
  signal: AbortSignal,
): Promise<PlannedAgain> {
  const { request, recipe } = await openRecipe(wishesOf(lock, folder), ports);
  const { model, name, files } = await describeSource(source, request, signal);
  const importance = await importanceOf(lock, request, model.tensors, ports);
  const options = { ...optionsOf(request), importance };
  const outputs = planOutputs(model, name, recipe.outputs, options);
  const fileDigests = lockedDigests(lock, files);
  const plan = planRun({
    tensors: model.tensors,
    outputs,
    fileDigests,
    sha256: ports.sha256,
    ...(importance === undefined ? {} : { importance: importance.tensors }),
  });
  const findings = [
    ...compareSource(lock, await source.list()),
    ...comparePlan(outputs, lock.outputs, ports.sha256),
  ];
  return { plan, findings };
}

/** The wishes of a release as a request; where its files lie is filled in. */
function wishesOf({ wishes, imatrix }: PureLock, folder: string): QuantizeRequest {
  const request = { ...wishes, kind: 'quantize', source: '', out: '' } as const;
  const flags = { overwrite: false, dryRun: false };
  if (imatrix === undefined) return { ...request, ...flags };
  const path = `${folder}/${imatrix.file}`;
  return { ...request, ...flags, imatrix: { path, given: imatrix.name } };
}

async function importanceOf(
  { imatrix }: PureLock,
  request: QuantizeRequest,
  tensors: Parameters<typeof openImatrix>[1],
  ports: ImportancePorts,
): Promise<Importance | undefined> {
  if (imatrix === undefined || request.imatrix === undefined) return undefined;
  const filters = { include: request.includeWeights, exclude: request.excludeWeights };
  // The outputs name the matrix as it was called when they were made.
  const splitPath = (): { file: string } => ({ file: imatrix.name });
  return await openImatrix({ ...request.imatrix, filters }, tensors, { ...ports, splitPath });
}
