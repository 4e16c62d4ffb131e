/**
 * Local API: the daemon's door for the commands of this machine's user.
 *
 *   socket in the data directory ──▶ proto/api.ts requests ──▶ LocalService (ports.ts)
 *
 * The socket's directory is closed to other users; there is no other way in.
 */

import { chmod, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { stream } from 'hono/streaming';
import { EVENT_VERSION, type RunEvent } from '../../proto/api.ts';
import { exitCodes, FaultError, type FaultKind, type FaultMessage } from '../../proto/fault.ts';
import { inspectRequest, runRequest } from '../../proto/requests.ts';
import type { LocalService } from '../ports.ts';

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

// A request with every list at its limit stays below it.
const BODY_BYTES_MAX = 2 * 1024 * 1024;

/** Serves `service` on the socket `path`, replacing one that a dead daemon left. */
export async function serveLocalApi(path: string, service: LocalService): Promise<Server> {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX }));
  app.onError((error, context) => context.json(messageOf(error), 400));
  app.get('/v1/status', (context) => context.json(service.status()));
  app.post('/v1/inspect', async (context) => {
    const { file } = await parse(inspectRequest, context);
    return context.json(await service.inspect(file));
  });
  app.post('/v1/runs', async (context) => {
    const request = await parse(runRequest, context);
    return streamRun(context, (report) => service.run(request, report), service);
  });
  app.delete('/v1/runs/:run', (context) => {
    service.drain(Number(context.req.param('run')));
    return context.body(null, 204);
  });

  await rm(path, { force: true });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return server;
}

function streamRun(
  context: Context,
  run: (report: (event: RunEvent) => void) => { run: number; ended: Promise<void> },
  service: LocalService,
): Response {
  context.header('content-type', 'application/x-ndjson');
  return stream(context, async (lines) => {
    // Lines are written one after the other; a slow reader is waited for at the end only, since
    // events are few and small.
    let written: Promise<unknown> = Promise.resolve();
    const tell = (event: RunEvent | { type: 'accepted'; run: number }): void => {
      const line = `${JSON.stringify({ v: EVENT_VERSION, ...event })}\n`;
      written = written.then(() => lines.write(line)).catch(() => undefined);
    };
    const started = run(tell);
    lines.onAbort(() => service.drain(started.run));
    tell({ type: 'accepted', run: started.run });
    try {
      await started.ended;
    } catch (error) {
      tell({ type: 'fault', ...messageOf(error) });
    }
    await written;
  });
}

async function parse<T>(
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

/** A fault as it crosses the API; anything else is a bug of ours and says so. */
function messageOf(error: unknown): FaultMessage {
  if (error instanceof FaultError) return error.toMessage();
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new FaultError(apiFaults.unexpected, { why }).toMessage();
}
