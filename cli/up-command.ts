/** `quantd up`: a daemon in the foreground, until Ctrl-C. */

import { exitCodes } from '../proto/fault.ts';
import { bundledDaemon, dataDirectory, findDaemon, readiness, startDaemon } from './daemon.ts';
import { renderStatus } from './status-view.ts';

export interface UpOptions {
  readonly data?: string;
  readonly name?: string | undefined;
  readonly ram?: string | undefined;
  readonly disk?: string | undefined;
  readonly threads?: string | undefined;
  readonly json?: boolean;
}

export interface UpPrinter {
  print(lines: readonly string[]): void;
  printJson(value: object): void;
}

/** Resolves with the exit code when the daemon has ended. */
export async function runUp(options: UpOptions, printer: UpPrinter): Promise<number> {
  const directory = dataDirectory(options.data);
  if ((await findDaemon(directory)) !== undefined) {
    process.stderr.write(`a daemon already runs in ${directory}\n  hint: quantd status\n`);
    return exitCodes.environment;
  }
  const values = ['name', 'ram', 'disk', 'threads'] as const;
  const args = values.flatMap((key) => {
    const value = options[key];
    return value === undefined ? [] : [`--${key}`, value];
  });
  // In the same process group, so that Ctrl-C reaches the daemon itself.
  const child = startDaemon(bundledDaemon(), ['--child', '--data', directory, ...args], false);
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });
  const status = await readiness(child);
  if (options.json === true) printer.printJson({ type: 'up', ...status });
  else {
    printer.print([
      ...renderStatus(status, directory),
      'It listens on a socket in its data directory and on no network port.',
      '',
      'In another terminal:',
      '  quantd quantize SOURCE --type Q4_K_M --out DIR',
      '  quantd status',
    ]);
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // The terminal tells the daemon of Ctrl-C; other signals come to this process alone.
    process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
  }
  return ended;
}
