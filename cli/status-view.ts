/** What a daemon says of itself, as text. */

import type { Status } from '../proto/api.ts';
import { bytesText, secondsText } from './format.ts';

export function renderStatus(status: Status | undefined, directory: string): string[] {
  if (status === undefined) {
    return [`no daemon answers in ${directory}`, '  hint: quantd up'];
  }
  const runs = status.runs.map((run) => {
    const share = run.bytesTotal > 0 ? (100 * run.bytesDone) / run.bytesTotal : 0;
    return `  run ${run.run}  ${run.kind} ${run.source}  ${run.stage} ${share.toFixed(0)} %`;
  });
  return [
    `quantd ${status.version} · ${status.name} · pid ${status.pid} · up ${secondsText(status.uptimeSeconds)}`,
    `data     ${status.dataDirectory}`,
    `kernels  ${status.isa} (can: ${status.isas.join(', ')}) · ${status.threads} threads`,
    `memory   ${bytesText(status.residentBytes)} resident · ${bytesText(status.ramBytes)} offered to tasks`,
    ...(runs.length > 0 ? ['runs', ...runs] : ['runs     none']),
  ];
}
