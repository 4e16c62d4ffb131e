/**
 * Plan command: tells what a run would need, and asks before one that takes long.
 *
 *   request ──▶ dry run ──▶ the estimate ──▶ an exit code, or "go on?"
 */

import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { RunEvent } from '../proto/api.ts';
import type { RunEstimate } from '../proto/estimate.ts';
import { exitCodes } from '../proto/fault.ts';
import type { QuantizeRequest, RunRequest } from '../proto/requests.ts';
import type { Client } from './client.ts';
import {
  type Loose,
  type QuantizeOptions,
  quantizeRequest,
  withDiskOptions,
  withRecipeOptions,
} from './quantize-command.ts';
import { type Screen, showEvents, showRun } from './run-command.ts';

export interface PlanOptions extends Omit<QuantizeOptions, 'out'> {
  out?: string;
}

/** The command without its action, which is the caller's. */
export function addPlanCommand(program: Command): Command {
  const command = program
    .command('plan')
    .description('say what a run would need of each machine and how long it would take');
  return withDiskOptions(withRecipeOptions(command))
    .option('--out <dir>', 'where the outputs would go (default: here)')
    .addHelpText('after', '\nIt makes and writes nothing, and ends with 3 where it does not fit.');
}

export function planRequest(
  source: string,
  { out = '.', ...options }: PlanOptions,
  command: Command,
): Loose<QuantizeRequest> {
  return { ...quantizeRequest(source, { ...options, out }, command), dryRun: true };
}

/** Resolves with the exit code: that of the environment where the run would not fit. */
export async function showPlan(
  client: Client,
  request: RunRequest,
  screen: Screen,
): Promise<number> {
  let fits = true;
  const code = await showRun(client, request, screen, (event) => {
    if (event.type === 'estimate') fits = event.faults.length === 0;
  });
  return code === 0 && !fits ? exitCodes.environment : code;
}

/** Longer than this, and a person would rather know before. */
const ASKED_SECONDS_MIN = 600;

/** Whether there is a question to ask: how long it will take is not known, or is long. */
export function isLong({ seconds }: Pick<RunEstimate, 'seconds'>): boolean {
  return seconds === null || seconds > ASKED_SECONDS_MIN;
}

// Back to its beginning, and nothing in it.
const CLEAR_LINE = '\r\u001b[2K';

export interface Terminal extends Screen {
  readonly in: NodeJS.ReadStream;
}

/**
 * Shows the estimate of a run that will take long and asks whether to begin it. Only a person at a
 * terminal is asked.
 * @returns whether to go on
 */
export async function mayBegin(
  client: Pick<Client, 'run'>,
  request: RunRequest,
  terminal: Terminal,
): Promise<boolean> {
  const trial = dryRunOf(request);
  const isTerminal = terminal.in.isTTY === true && terminal.err.isTTY === true;
  if (trial === undefined || terminal.json || !isTerminal) return true;
  const events: RunEvent[] = [];
  terminal.err.write('planning');
  for await (const event of client.run(trial)) events.push(event);
  terminal.err.write(CLEAR_LINE);
  const estimate = events.find((event) => event.type === 'estimate');
  // What is wrong with the request is told by the run itself.
  if (estimate === undefined || !isLong(estimate)) return true;
  showEvents(
    events.filter(({ type }) => type !== 'done'),
    terminal,
  );
  return await isAnsweredYes('go on? [y/N] ', terminal);
}

/** The same request as one that makes nothing; undefined where there is no such thing. */
function dryRunOf(request: RunRequest): QuantizeRequest | undefined {
  if (request.kind === 'release') return { ...request, kind: 'quantize', dryRun: true };
  if (request.kind !== 'quantize' || request.dryRun) return undefined;
  return { ...request, dryRun: true };
}

/** Anything but a yes is a no, the end of the input and Ctrl-C too. */
function isAnsweredYes(question: string, { in: input, err: output }: Terminal): Promise<boolean> {
  const asking = createInterface({ input, output });
  return new Promise((resolve) => {
    asking.once('SIGINT', () => asking.close());
    asking.once('close', () => resolve(false));
    asking.question(question, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()));
      asking.close();
    });
  });
}
