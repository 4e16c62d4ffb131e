/**
 * The command line: arguments ──▶ one request to the daemon ──▶ text or NDJSON, and an exit code.
 */

import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { EVENT_VERSION } from '../proto/api.ts';
import { exitCodes } from '../proto/fault.ts';
import type { RunRequest } from '../proto/requests.ts';
import { ReportedFault } from './client.ts';
import { addClusterCommands } from './cluster-commands.ts';
import { type ConnectOptions, connect, dataDirectory, findDaemon } from './daemon.ts';
import { renderFault } from './fault-view.ts';
import { addGgufCommands } from './gguf-commands.ts';
import { addImatrixCommand, type ImatrixOptions, imatrixRequest } from './imatrix-command.ts';
import { renderInspect } from './inspect-view.ts';
import {
  addPlanCommand,
  mayBegin,
  type PlanOptions,
  planRequest,
  showPlan,
} from './plan-command.ts';
import { addPublishCommand, type PublishOptions, publishRequest } from './publish-command.ts';
import {
  addQuantizeCommand,
  type Loose,
  type QuantizeOptions,
  quantizeRequest,
} from './quantize-command.ts';
import { addRecipeCommands } from './recipe-command.ts';
import { addReleaseCommand, releaseRequest } from './release-command.ts';
import {
  addReproduceCommand,
  type ReproduceOptions,
  reproduceRequest,
} from './reproduce-command.ts';
import { showRun } from './run-command.ts';
import {
  type HubOptions,
  type SourceOptions,
  sourceFields,
  withHubOptions,
  withSourceOptions,
} from './source-options.ts';
import { renderStatus } from './status-view.ts';
import { addVerifyCommand, type VerifyOptions, verifyRequest } from './verify-command.ts';

declare const QUANTD_VERSION: string;

type Shared = ConnectOptions & { json?: boolean; maxBufferSize?: string; yes?: boolean };
interface ConvertOptions extends Shared, SourceOptions {
  type: string;
  out: string;
  name?: string;
  overwrite?: boolean;
}

const program = new Command('quantd')
  .description('Turns Hugging Face checkpoints into GGUF files, byte for byte as llama.cpp does.')
  .version(QUANTD_VERSION)
  .showSuggestionAfterError()
  .exitOverride()
  .addHelpText(
    'after',
    '\nExit codes: 0 ok, 1 failed, 2 usage, 3 environment, 4 input refused, 6 mismatch, 130 interrupted',
  );

const dataOption = (): Option =>
  new Option('--data <dir>', "the daemon's data directory").env('QUANTD_DATA');
const jsonOption = (): Option => new Option('--json', 'print one JSON object a line');

function withDaemonOptions(command: Command): Command {
  return command
    .option('--solo', 'start a daemon for this command alone, even where one answers')
    .addOption(dataOption())
    .option('--threads <n>', 'threads of a daemon started for this command')
    .option('--ram <size>', 'memory for its tasks, such as 2GiB')
    .addOption(new Option('--max-buffer-size <size>', 'another name of --ram').conflicts('ram'))
    .addOption(jsonOption());
}

const release = addReleaseCommand(program);
withDaemonOptions(release).action((source: string, options: Shared & QuantizeOptions) =>
  runRequest(options, releaseRequest(source, options, release)),
);

const quantize = addQuantizeCommand(program);
withDaemonOptions(quantize).action((source: string, options: Shared & QuantizeOptions) =>
  runRequest(options, quantizeRequest(source, options, quantize)),
);

const plan = addPlanCommand(program);
withDaemonOptions(plan).action((source: string, options: Shared & PlanOptions) =>
  runRequest(options, planRequest(source, options, plan), showPlan),
);

withDaemonOptions(
  withSourceOptions(
    program
      .command('convert')
      .description('make one GGUF of plain numbers from a checkpoint')
      .argument('<source>', 'checkpoint directory, or org/name[@revision] of a hub')
      .requiredOption('--type <type>', 'BF16, F16 or F32')
      .requiredOption('--out <file>', 'the file to make')
      .option('--name <model>', "the model's name in metadata")
      .option('--overwrite', 'replace the file'),
  ),
).action((source: string, options: ConvertOptions) =>
  runRequest(options, {
    kind: 'convert',
    ...sourceFields(source, options),
    type: options.type,
    out: resolve(options.out),
    name: options.name,
    overwrite: options.overwrite ?? false,
  }),
);

const imatrix = addImatrixCommand(program);
withDaemonOptions(imatrix).action((source: string, options: Shared & ImatrixOptions) =>
  runRequest(options, imatrixRequest(source, options, imatrix)),
);

withDaemonOptions(addReproduceCommand(program)).action(
  (lockfile: string, options: Shared & ReproduceOptions) =>
    runRequest(options, reproduceRequest(lockfile, options)),
);

withDaemonOptions(addVerifyCommand(program)).action(
  (folder: string, options: Shared & VerifyOptions) =>
    runRequest(options, verifyRequest(folder, options)),
);
const publish = addPublishCommand(program);
withDaemonOptions(publish).action((folder: string, options: Shared & PublishOptions) =>
  runRequest(options, publishRequest(folder, options)),
);
addGgufCommands(program, { withDaemonOptions, run: runRequest });

withHubOptions(
  program
    .command('inspect')
    .description('show metadata, tensors and sizes of a GGUF or safetensors file')
    .argument('<file>', 'path, or org/name/file of a hub'),
)
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (file: string, options: Shared & HubOptions) => {
    const { source, hub } = sourceFields(file, options);
    const connection = await connect(options);
    try {
      const report = await connection.client.inspect(source, hub);
      if (options.json === true) printJson({ type: 'inspect', ...report, path: file });
      else print(renderInspect(report, process.stdout.columns ?? 120));
    } finally {
      await connection.close();
    }
  });

program
  .command('status')
  .description('show what the daemon is doing')
  .addOption(dataOption())
  .addOption(jsonOption())
  .action(async (options: Shared) => {
    const directory = dataDirectory(options.data);
    const status = (await findDaemon(directory))?.status;
    if (options.json === true)
      printJson({ type: 'status', running: status !== undefined, ...status });
    else print(renderStatus(status, directory));
    if (status === undefined) process.exitCode = exitCodes.environment;
  });

const basis = { program, dataOption, jsonOption, print, printJson };
addRecipeCommands(basis);
addClusterCommands(basis);

async function runRequest(
  options: Shared,
  request: Loose<RunRequest>,
  show: typeof showPlan = showRun,
): Promise<void> {
  const ram = options.ram ?? options.maxBufferSize;
  const connection = await connect({ ...options, ...(ram === undefined ? {} : { ram }) });
  const json = options.json === true;
  if (connection.isChild && !json && options.solo !== true) {
    process.stderr.write('no daemon is running: started one for this command\n');
  }
  const { client } = connection;
  const terminal = { in: process.stdin, out: process.stdout, err: process.stderr, json };
  try {
    const wanted = stripped(request);
    if (options.yes === true || (await mayBegin(client, wanted, terminal))) {
      process.exitCode = await show(client, wanted, terminal);
    } else {
      process.stderr.write('nothing was made\n');
      process.exitCode = exitCodes.interrupted;
    }
  } finally {
    await connection.close();
  }
}

function stripped(request: Loose<RunRequest>): RunRequest {
  const entries = Object.entries(request).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as RunRequest;
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify({ v: EVENT_VERSION, ...value })}\n`);
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Shows what went wrong and returns the exit code for it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  const isJson = process.argv.includes('--json');
  if (error instanceof ReportedFault) {
    if (isJson) printJson({ type: 'fault', ...error.fault });
    else process.stderr.write(`${renderFault(error.fault).join('\n')}\n`);
    return error.fault.exit;
  }
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return exitCodes.failed;
}
