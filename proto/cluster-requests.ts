/** Requests about the cluster, as schemas that check them. Read next: cluster.ts, the answers. */

import * as z from 'zod';

// Longer than any name, fingerprint or id.
const text = z.string().min(1).max(256);
// A token with eight addresses, in capitals, wrapped and indented by a mail program.
const TOKEN_CHARACTERS_MAX = 8192;
// Ten years: who wants more wants a date that never comes.
const TTL_SECONDS_MAX = 10 * 366 * 86_400;

export const inviteRequest = z.strictObject({
  uses: z.number().int().min(1).max(1000),
  ttlSeconds: z.number().int().min(1).max(TTL_SECONDS_MAX),
  role: z.enum(['worker', 'coordinator']),
});
export const joinRequest = z.strictObject({ token: z.string().max(TOKEN_CHARACTERS_MAX) });
/** Name, fingerprint, or the id of an invite. */
export const whichRequest = z.strictObject({ which: text });

export const leaveRequest = z.strictObject({
  /** The founder ends the cluster for all its members. */
  end: z.boolean(),
});

export type InviteRequest = z.infer<typeof inviteRequest>;
export type JoinRequest = z.infer<typeof joinRequest>;
export type WhichRequest = z.infer<typeof whichRequest>;
