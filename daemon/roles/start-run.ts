/** Start run: which role carries out what a request asks for. */

import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { RunRequest } from '../../proto/requests.ts';
import { runFaults } from './faults.ts';
import { type PublishPorts, publish } from './publish.ts';
import { type ReleasePorts, release } from './release.ts';
import { type ReproducePorts, reproduce } from './reproduce.ts';
import { isGgufRequest, rewriteGguf } from './rewrite-gguf.ts';
import { run } from './run.ts';
import { type VerifyPorts, verifyRelease } from './verify-release.ts';

export type StartPorts = ReleasePorts & VerifyPorts & ReproducePorts & PublishPorts;

/**
 * Resolves when all that was asked for is there.
 * @throws FaultError whatever stopped it; the same request goes on
 */
export async function startRun(
  request: RunRequest,
  ports: StartPorts,
  report: (event: RunEvent) => void,
  drain: AbortSignal,
): Promise<void> {
  try {
    await carryOut(request, ports, report, drain);
  } catch (error) {
    // What waits for a disk or a hub ends with the signal's own reason.
    if (!drain.aborted || error instanceof FaultError) throw error;
    throw new FaultError(runFaults.interrupted, {}, { cause: error });
  }
}

async function carryOut(
  ...[request, ports, report, drain]: Parameters<typeof startRun>
): Promise<void> {
  if (request.kind === 'release') await release(request, ports, report, drain);
  else if (request.kind === 'reproduce') await reproduce(request, ports, report, drain);
  else if (request.kind === 'verify') await verifyRelease(request, ports, report, drain);
  else if (request.kind === 'publish') await publish(request, ports, report, drain);
  else if (isGgufRequest(request)) await rewriteGguf(request, ports, report, drain);
  else await run(request, ports, report, drain);
}
