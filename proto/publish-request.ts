/** Publish request: a folder that is to become a repository of a hub. Read next: docs/hub.md. */

import * as z from 'zod';
import { hubAccess } from './hub-access.ts';

// Longer than any path or name a person types.
const text = z.string().min(1).max(4096);

export const publishRequest = z.strictObject({
  kind: z.literal('publish'),
  /** Absolute path of the folder. */
  folder: text,
  /** `org/name`. */
  repository: text,
  /** What is sent is sent only with it. */
  confirmed: z.boolean().default(false),
  /** Say what would be sent; send nothing. */
  dryRun: z.boolean().default(false),
  /** A repository that has to be made is seen by its owner alone. */
  private: z.boolean().default(false),
  hub: hubAccess.optional(),
});

export type PublishRequest = z.infer<typeof publishRequest>;
