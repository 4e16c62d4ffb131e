/** Findings: what a verification has to say of a release, each with the place it is about. */

import type { FaultDetail, FaultKind, FaultMessage } from '../../../proto/fault.ts';

export interface Finding {
  /** A warning is told and does not fail the verification. */
  readonly severity: 'fault' | 'warning';
  readonly kind: FaultKind;
  readonly detail: FaultDetail;
}

export function faulty(kind: FaultKind, detail: FaultDetail): Finding {
  return { severity: 'fault', kind, detail };
}

export function warning(kind: FaultKind, detail: FaultDetail): Finding {
  return { severity: 'warning', kind, detail };
}

/** As it crosses the local API. */
export function messageOf({ kind, detail }: Finding): FaultMessage {
  const { code, exit, what, hint } = kind;
  return { ...detail, code, exit, what, hint: detail.hint ?? hint };
}
