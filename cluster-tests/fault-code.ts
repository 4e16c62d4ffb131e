/** Fault code: the code of the fault that a piece of work ends with, for tests of what is refused. */

import { FaultError } from '../proto/fault.ts';

/** `no fault` where there is none; what is no fault of ours is thrown on. */
export function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return codeOfError(error);
  }
  return 'no fault';
}

/** The same of work that is under way. */
export async function codeOfEnd(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return codeOfError(error);
  }
  return 'no fault';
}

function codeOfError(error: unknown): string {
  if (error instanceof FaultError) return error.kind.code;
  throw error;
}
