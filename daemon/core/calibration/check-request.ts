/**
 * Check request: whether what is asked about importance matrices fits together.
 *
 *   ModelRequest ──▶ checkRunRequest ──▶ nothing, or a fault
 *
 * The command line says most of this before; another client of the local API may not.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { CalibrationRequest, ModelRequest } from '../../../proto/requests.ts';
import { calibrationFaults as faults } from './faults.ts';

/** @throws FaultError QD-8412 to QD-8415 */
export function checkRunRequest(request: ModelRequest): void {
  if (request.kind === 'convert') return;
  if (request.calibration !== undefined) checkTexts(request.calibration);
  if (request.kind === 'imatrix') {
    if (request.calibration === undefined && request.inFiles.length === 0) {
      throw new FaultError(faults.nothingToMake);
    }
  } else if (request.calibration !== undefined && request.imatrix !== undefined) {
    throw new FaultError(faults.twoMatrices);
  }
}

function checkTexts(calibration: CalibrationRequest): void {
  const hasFiles = calibration.files.length > 0;
  if (hasFiles !== calibration.default) return;
  const why = hasFiles ? 'both are asked for' : 'neither is asked for';
  throw new FaultError(faults.noText, { why });
}
