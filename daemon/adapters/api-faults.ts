/** What the local API itself can find wrong, and reading a request's body. */

import type { Context } from 'hono';
import { exitCodes, FaultError, type FaultKind } from '../../proto/fault.ts';

export const apiFaults = {
  badRequest: {
    code: 'QD-7001',
    exit: exitCodes.usage,
    what: 'the daemon does not understand the request',
    hint: 'the command and the daemon may be of different versions: stop the daemon and try again',
  },
  unexpected: {
    code: 'QD-7002',
    exit: exitCodes.failed,
    what: 'the daemon met an error it does not know',
    hint: 'this is a bug of quantd; report it with the cause above',
  },
} as const satisfies Record<string, FaultKind>;

/** @throws FaultError `badRequest` where the body is not what the schema says */
export async function parseBody<T>(
  schema: {
    safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error };
  },
  context: Context,
): Promise<T> {
  const body: unknown = await context.req.json().catch(() => undefined);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new FaultError(apiFaults.badRequest, { why: result.error.message.slice(0, 1000) });
}
