/**
 * Calibration options: what quantize and imatrix have in common about measuring.
 *
 *   options ──▶ calibrationOf ──▶ the `calibration` of a request
 */

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { CalibrationRequest } from '../proto/requests.ts';
import { list, wholeNumber } from './option-values.ts';

export interface CalibrationOptions {
  calibration: string[];
  chat?: boolean;
  ctx?: number;
  chunks?: number;
  fromChunk?: number;
  chunk?: number;
  parseSpecial?: boolean;
  processOutput?: boolean;
  ppl?: boolean;
  minExpertTokens?: number;
  replicas?: number;
  wave?: number;
}

/** Options that say how to measure, by their key; without a text there is nothing to measure. */
const ways = {
  chat: '--chat',
  ctx: '--ctx',
  chunks: '--chunks',
  fromChunk: '--from-chunk',
  chunk: '--chunk',
  parseSpecial: '--parse-special',
  processOutput: '--process-output',
  ppl: '--ppl',
  minExpertTokens: '--min-expert-tokens',
  replicas: '--replicas',
  wave: '--wave',
} as const satisfies { [Key in Exclude<keyof CalibrationOptions, 'calibration'>]: string };

// The bounds that the local API has too, so that a wrong number is told with its option.
const CHUNK_TOKENS_MIN = 16;
const CHUNK_TOKENS_MAX = 2 ** 20;
const REPLICAS_MAX = 256;
const DEFAULT_TEXT = 'default';

export function withCalibrationOptions(command: Command): Command {
  const calibration = new Option(
    '--calibration <files>',
    'texts to measure an importance matrix with, or default (repeatable)',
  );
  return command
    .addOption(calibration.argParser(list).default([], 'none'))
    .option('--chat', "frame samples with the model's chat template (.jsonl, or paragraphs)")
    .option(
      '-c, --ctx <n>',
      'tokens of a chunk (default: 512)',
      wholeNumber(CHUNK_TOKENS_MIN, CHUNK_TOKENS_MAX),
    )
    .option('--chunks <n>', 'measure at most so many chunks', wholeNumber(1))
    .option('--from-chunk <n>', 'leave out so many chunks at the beginning', wholeNumber(0))
    .addOption(
      new Option('--chunk <n>', 'another name of --from-chunk')
        .argParser(wholeNumber(0))
        .conflicts('fromChunk'),
    )
    .option('--parse-special', 'names of special tokens in a text become those tokens')
    .option('--process-output', 'measure output.weight too')
    .option('--ppl', 'tell the perplexity of the text')
    .option(
      '--min-expert-tokens <n>',
      'go on beyond --chunks until every expert has had so many tokens',
      wholeNumber(1),
    )
    .option(
      '--replicas <n>',
      'machines that share the chunks of the same layers (default: 1)',
      wholeNumber(1, REPLICAS_MAX),
    )
    .option('--wave <n>', 'chunks that pass a layer together, at most', wholeNumber(1));
}

/**
 * What is to be measured; undefined where nothing is.
 * @param fallsBack to the default text, where none is named
 * @param command that the options are of; it ends where they do not fit together
 */
export function calibrationOf(
  options: CalibrationOptions,
  fallsBack: boolean,
  command: Command,
): CalibrationRequest | undefined {
  if (options.calibration.length === 0 && !fallsBack) {
    const given = (Object.keys(ways) as (keyof typeof ways)[]).find(
      (key) => options[key] !== undefined,
    );
    if (given !== undefined) command.error(`error: ${ways[given]} needs --calibration`);
    return undefined;
  }
  const texts = options.calibration.length > 0 ? options.calibration : [DEFAULT_TEXT];
  const files = texts
    .filter((text) => text !== DEFAULT_TEXT)
    .map((given) => ({ path: resolve(given), given }));
  if (files.length > 0 && files.length < texts.length) {
    command.error('error: --calibration default cannot be mixed with other texts');
  }
  return requestOf(files, options);
}

function requestOf(
  files: CalibrationRequest['files'],
  options: CalibrationOptions,
): CalibrationRequest {
  const { chunks, minExpertTokens, wave } = options;
  return {
    files,
    default: files.length === 0,
    chat: options.chat ?? false,
    parseSpecial: options.parseSpecial ?? false,
    ctx: options.ctx ?? 512,
    fromChunk: options.fromChunk ?? options.chunk ?? 0,
    processOutput: options.processOutput ?? false,
    ppl: options.ppl ?? false,
    replicas: options.replicas ?? 1,
    ...(chunks === undefined ? {} : { chunks }),
    ...(minExpertTokens === undefined ? {} : { minExpertTokens }),
    ...(wave === undefined ? {} : { waveChunks: wave }),
  };
}
