/**
 * Client: asks a daemon over its socket.
 *
 *   request ──▶ socket ──▶ JSON answer, or one event a line
 */

import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { RunEvent, Status } from '../proto/api.ts';
import type { FaultMessage } from '../proto/fault.ts';
import type { InspectReport } from '../proto/inspect.ts';
import type { HubAccess, RunRequest } from '../proto/requests.ts';

/** A fault that the daemon reported. */
export class ReportedFault extends Error {
  readonly fault: FaultMessage;

  constructor(fault: FaultMessage) {
    super(fault.what);
    this.fault = fault;
  }
}

export class Client {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async status(): Promise<Status> {
    return (await this.ask('GET', '/v1/status')) as Status;
  }

  async inspect(file: string, hub?: HubAccess): Promise<InspectReport> {
    return (await this.ask('POST', '/v1/inspect', { file, hub })) as InspectReport;
  }

  async drain(run: number): Promise<void> {
    await this.ask('DELETE', `/v1/runs/${run}`);
  }

  /** The run's events, until it is done or a fault ended it. */
  async *run(body: RunRequest): AsyncGenerator<RunEvent> {
    const answer = await this.#send('POST', '/v1/runs', body);
    if (answer.statusCode !== 200) throw await faultOf(answer);
    for await (const line of createInterface({
      input: answer,
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      yield JSON.parse(line) as RunEvent;
    }
  }

  /** The answer of one endpoint; undefined where it has none. @throws ReportedFault */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#send(method, path, body);
    if (answer.statusCode === undefined || answer.statusCode >= 300) throw await faultOf(answer);
    const text = await textOf(answer);
    return text === '' ? undefined : JSON.parse(text);
  }

  #send(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          socketPath: this.#socketPath,
          method,
          path,
          headers: { host: 'localhost', 'content-type': 'application/json' },
        },
        resolve,
      );
      sent.once('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

async function faultOf(answer: IncomingMessage): Promise<Error> {
  const text = await textOf(answer);
  try {
    return new ReportedFault(JSON.parse(text) as FaultMessage);
  } catch {
    return new Error(`the daemon answered ${answer.statusCode}: ${text.slice(0, 200)}`);
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
