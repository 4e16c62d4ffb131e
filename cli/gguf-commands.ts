/**
 * GGUF commands: split, merge and retouch, which leave every tensor as it is.
 *
 *   arguments ──▶ GgufRequest ──▶ the daemon
 */

import { basename, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { GgufRequest } from '../proto/gguf-requests.ts';
import type { ConnectOptions } from './daemon.ts';
import { collect, partBytes, wholeNumber } from './option-values.ts';

type Shared = ConnectOptions & { json?: boolean };
interface SplitOptions extends Shared {
  out: string;
  splitMaxTensors?: number;
  splitMaxSize?: number;
  // Commander's way with an option that begins with "no".
  tensorFirstSplit: boolean;
  dryRun?: boolean;
  overwrite?: boolean;
}
interface MergeOptions extends Shared {
  out: string;
  overwrite?: boolean;
}
interface RetouchOptions extends Shared {
  out?: string;
  inPlace?: boolean;
  set: string[];
  remove: string[];
  name?: string;
  chatTemplate?: string;
  force?: boolean;
  overwrite?: boolean;
}

export interface GgufTools {
  /** Adds what every command that needs a daemon takes. */
  readonly withDaemonOptions: (command: Command) => Command;
  readonly run: (options: Shared, request: GgufRequest) => Promise<void>;
}

export function addGgufCommands(program: Command, { withDaemonOptions, run }: GgufTools): void {
  withDaemonOptions(splitCommand(program)).action((file: string, options: SplitOptions) => {
    const { splitMaxTensors: maxTensors, splitMaxSize: maxBytes } = options;
    return run(options, {
      kind: 'split',
      source: resolve(file),
      out: prefixOf(file, options.out),
      ...(maxTensors === undefined ? {} : { maxTensors }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
      noTensorFirstSplit: !options.tensorFirstSplit,
      dryRun: options.dryRun ?? false,
      overwrite: options.overwrite ?? false,
    });
  });
  withDaemonOptions(mergeCommand(program)).action((file: string, options: MergeOptions) =>
    run(options, {
      kind: 'merge',
      source: resolve(file),
      out: resolve(options.out),
      overwrite: options.overwrite ?? false,
    }),
  );
  const retouch = withDaemonOptions(retouchCommand(program));
  retouch.action((file: string, options: RetouchOptions) => {
    const { out, name, chatTemplate } = options;
    if (out === undefined && options.inPlace !== true) {
      retouch.error("error: one of '--out <file>' and '--in-place' is needed");
    }
    return run(options, {
      kind: 'retouch',
      source: resolve(file),
      ...(out === undefined ? {} : { out: resolve(out) }),
      set: options.set,
      remove: options.remove,
      ...(name === undefined ? {} : { name }),
      ...(chatTemplate === undefined ? {} : { chatTemplate: resolve(chatTemplate) }),
      force: options.force ?? false,
      overwrite: options.overwrite ?? false,
    });
  });
}

function splitCommand(program: Command): Command {
  return program
    .command('split')
    .description('cut a GGUF into parts, as llama-gguf-split does')
    .argument('<file>', 'a whole GGUF')
    .requiredOption('--out <prefix>', 'what the parts are called before -00001-of-00003.gguf')
    .addOption(
      new Option('--split-max-tensors <n>', 'tensors of a part (default: 128)')
        .argParser(wholeNumber(1))
        .conflicts('splitMaxSize'),
    )
    .addOption(
      new Option('--split-max-size <size>', 'bytes of tensors of a part: 500M or 20G').argParser(
        partBytes,
      ),
    )
    .option('--no-tensor-first-split', 'the first part holds the metadata alone')
    .option('--dry-run', 'say the parts and their sizes; make nothing')
    .option('--overwrite', 'replace files that have these names')
    .addHelpText(
      'after',
      '\nM is 10^6 and G is 10^9 bytes. A tensor that is larger has a part of its own. With a prefix' +
        '\nthat ends in / the parts are called as the file. quantd merge makes the same file again.',
    );
}

function mergeCommand(program: Command): Command {
  return program
    .command('merge')
    .description('put the parts of a split GGUF together')
    .argument('<part>', 'the first part, or any other; the rest lie beside it')
    .requiredOption('--out <file>', 'the file to make')
    .option('--overwrite', 'replace the file')
    .addHelpText('after', '\nThe parts stay. It needs room for all of them once more.');
}

function retouchCommand(program: Command): Command {
  return program
    .command('retouch')
    .description('change metadata of a GGUF; its tensors are copied as they are')
    .argument('<file>', 'a GGUF; of a split one the first part')
    .option('--set <key=type:value>', 'set a key (repeatable)', collect, [])
    .option('--remove <key>', 'remove a key (repeatable)', collect, [])
    .option('--name <text>', 'set general.name')
    .option('--chat-template <file>', 'set tokenizer.chat_template to what the file holds')
    .option('--force', 'also keys that the tensors are read by, and other types of keys')
    .addOption(new Option('--out <file>', 'the file to make').conflicts('inPlace'))
    .option('--in-place', 'replace the file itself, once the new one is whole')
    .option('--overwrite', 'replace the file of --out')
    .addHelpText(
      'after',
      '\nTypes: int, float, bool, str, or exactly u8 to i64, f32, f64; with [] an array in JSON:' +
        '\n  --set general.license=str:mit --set \'general.tags=str[]:["chat","de"]\'' +
        '\nThe whole file is written anew and read back, so that a crash leaves either the old one or' +
        '\nthe new one: also --in-place needs room for it once more.',
    );
}

/** A directory is given with a slash behind it: the parts are called as the file they are of. */
function prefixOf(file: string, out: string): string {
  return out.endsWith('/') ? join(resolve(out), basename(file, '.gguf')) : resolve(out);
}
