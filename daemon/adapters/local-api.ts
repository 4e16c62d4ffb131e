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
import { FaultError, type FaultMessage } from '../../proto/fault.ts';
import type { LocalCluster } from '../../proto/local-cluster.ts';
import { inspectRequest, runRequest } from '../../proto/requests.ts';
import type { LocalService } from '../ports.ts';
import { apiFaults, parseBody } from './api-faults.ts';
import { clusterRoutes } from './cluster-api.ts';
import { type LocalRecipes, recipeRoutes } from './recipe-api.ts';

// A request with every list at its limit stays below it.
const BODY_BYTES_MAX = 2 * 1024 * 1024;

/** Serves `service` on the socket `path`, replacing one that a dead daemon left. */
export async function serveLocalApi(
  path: string,
  service: LocalService & { readonly recipes: LocalRecipes },
  cluster?: LocalCluster,
): Promise<Server> {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX }));
  app.onError((error, context) => context.json(messageOf(error), 400));
  app.get('/v1/status', (context) => context.json(service.status()));
  app.post('/v1/inspect', async (context) => {
    const { file, hub } = await parseBody(inspectRequest, context);
    return context.json(await service.inspect(file, hub));
  });
  app.post('/v1/runs', async (context) => {
    const request = await parseBody(runRequest, context);
    return streamRun(context, (report) => service.run(request, report), service);
  });
  app.delete('/v1/runs/:run', (context) => {
    service.drain(Number(context.req.param('run')));
    return context.body(null, 204);
  });
  app.route('/v1/recipes', recipeRoutes(service.recipes));
  app.route('/v1/cluster', clusterRoutes(cluster));

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

/** A fault as it crosses the API; anything else is a bug of ours and says so. */
function messageOf(error: unknown): FaultMessage {
  if (error instanceof FaultError) return error.toMessage();
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new FaultError(apiFaults.unexpected, { why }).toMessage();
}
