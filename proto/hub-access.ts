/** Hub access: how a request says that a hub is reached. Read next: hub-name.ts, docs/hub.md. */

import * as z from 'zod';

// Longer than any address.
const text = z.string().min(1).max(4096);
// Tokens of the hub have 37 characters; those of other kinds some hundreds.
const TOKEN_LENGTH_MAX = 512;

/** How a hub is reached; the token is nowhere written down and goes to that address alone. */
export const hubAccess = z.strictObject({
  /** Of a mirror; the public hub where absent. */
  url: text.optional(),
  token: z.string().min(1).max(TOKEN_LENGTH_MAX).optional(),
});
