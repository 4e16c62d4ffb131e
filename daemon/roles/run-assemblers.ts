/**
 * Run assemblers: where the outputs of a run grow, as its request wishes, and which of them stay there.
 *
 *   request, plan ──▶ openAll ──▶ OpenedAssemblers ──▶ leftOf: what lies elsewhere in the end
 */

import type { RunEvent } from '../../proto/api.ts';
import type { LeftRecord } from '../../proto/left-record.ts';
import type { ModelRequest } from '../../proto/requests.ts';
import type { Plan } from '../core/plan/plan.ts';
import { hex, runId, type Sha256 } from '../core/plan/unit-id.ts';
import type { AheadRun } from '../core/schedule/ahead.ts';
import type { Clock, MeasurementFiles, Network, OutputDirectory } from '../ports.ts';
import { LOCAL_PEER, type Offer } from './offers.ts';
import { type OpenedAssemblers, openAssemblers } from './open-assemblers.ts';
import type { OutputAssembler } from './output-assembler.ts';
import { PlacementRecord } from './placement-record.ts';

interface Planned {
  readonly request: ModelRequest;
  readonly plan: Plan;
  /** By the name of an output, what its part holds already. */
  readonly ahead: { readonly runs: ReadonlyMap<string, readonly AheadRun[]> } | undefined;
}

interface Where {
  readonly ports: {
    readonly sha256: Sha256;
    readonly clock: Clock;
    readonly offer: Offer;
    readonly drawFirstLease: () => number;
    readonly openPlacement: (release: string) => Promise<MeasurementFiles>;
  };
  readonly network: Network | undefined;
  readonly run: string;
  readonly release: string;
  readonly report: (event: RunEvent) => void;
}

/** Finds a machine for each output, where there are several, and opens it. */
export async function openAll(
  planned: Planned,
  directory: OutputDirectory,
  { ports, network, run, release, report }: Where,
): Promise<OpenedAssemblers> {
  const { plan, request } = planned;
  const { sha256, clock, offer } = ports;
  const { overwrite } = request;
  const own = { plan, directory, overwrite, sha256, ahead: planned.ahead?.runs };
  if (network === undefined) return await openAssemblers(own);
  return await openAssemblers({
    ...own,
    spread: {
      ...{ network, clock, run, release, offer },
      firstOpening: ports.drawFirstLease(),
      record: new PlacementRecord(await ports.openPlacement(release)),
      isWanted: request.kind === 'quantize' && request.assembly !== undefined,
      isLeft: isLeft(planned),
      onNotice: (text) => report({ type: 'notice', text }),
    },
  });
}

export function isLeft({ request }: Pick<Planned, 'request'>): boolean {
  return request.kind === 'quantize' && request.assembly === 'left';
}

/** The same for every run of the same outputs, so that a run that goes on is known again. */
export function releaseOf({ outputs }: Plan, sha256: Sha256): string {
  return runId(
    sha256,
    outputs.map(({ id }) => id),
  );
}

export function assemblyEvent({ assemblers, remotes }: OpenedAssemblers): RunEvent {
  const machines = new Map(remotes().map(({ index, remote }) => [index, remote.name]));
  const outputs = assemblers.map(({ output }, index) => {
    return { file: output.file, machine: machines.get(index) ?? LOCAL_PEER };
  });
  return { type: 'assembly', outputs };
}

/** What is whole on another machine is not made again to be read back there. */
export function isMadeAlready(assembler: OutputAssembler): boolean {
  const { isSealed, isLocal, output } = assembler;
  return isSealed || (!isLocal && assembler.storedRuns().length === output.runs.length);
}

/** The outputs that are sealed on other machines and stay there. */
export function leftOf(opened: OpenedAssemblers): LeftRecord['outputs'] {
  return opened.remotes().map(({ remote }) => {
    const { output, sha256, peer, name, path } = remote;
    const { file, id, layout } = output;
    return { file, bytes: layout.fileBytes, sha256, id: hex(id), machine: name, peer, path };
  });
}
