/**
 * Card: README.md of a release, for people and for the Hugging Face Hub.
 *
 *   lock, what the source's card says, coverage ──▶ cardOf ──▶ Markdown with a YAML head
 *
 * It says nothing of machines, times and places: it is one of the files that are the same in every
 * cluster. Read next: reproduce-page.ts, the page that does.
 */

import type { LayerCoverage } from '../../../proto/api.ts';
import type { LockedOutput, PureLock } from '../../../proto/lockfile.ts';
import { CARD_CONTEXT } from './memory.ts';
import type { SourceCard } from './source-card.ts';

export interface CardFacts {
  /** Without the list of other files, which the card is one of. */
  readonly lock: Omit<PureLock, 'files'>;
  readonly source: SourceCard;
  /** The name of the licence's file in the release, where there is one. */
  readonly licenseFile: string | undefined;
  /** Keys and values of 4096 tokens; undefined where the model does not tell. */
  readonly kvBytes: number | undefined;
  /** Undefined where nothing was measured, or the model has no experts. */
  readonly coverage:
    | { readonly floor: number; readonly layers: readonly LayerCoverage[] }
    | undefined;
  /** Of the calibration, where it was asked for. */
  readonly perplexity: { readonly value: number; readonly error: number } | undefined;
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
// What a person wants to know of a type before choosing; the rest needs no words.
const notes: readonly (readonly [pattern: RegExp, note: string])[] = [
  [/^(F32|F16|BF16)$/, 'not quantized'],
  [/^Q8_0$/, 'hardly to be told from the original'],
  [/^Q6_K$/, 'very close to the original'],
  [/^Q5_/, 'close to the original'],
  [/^(Q4_K_M|IQ4_)/, 'a good balance of size and quality'],
  [/^Q4_|^MXFP4/, 'small and fast'],
  [/^(Q3_|IQ3_)/, 'for little memory; quality falls'],
  [/^(Q2_|IQ2_)/, 'for very little memory; quality falls visibly'],
  [/^(IQ1_|TQ|Q1_)/, 'the smallest; for experiments'],
];

export function cardOf(facts: CardFacts): string {
  const { lock } = facts;
  const { name } = lock.model;
  const sections = [
    cardHead(facts),
    `# ${name}-GGUF`,
    `${origin(lock)} as GGUF files that anyone can rebuild to the byte.`,
    outputTable(facts),
    runSection(lock),
    madeSection(facts),
    coverageSection(facts),
    verifySection(lock),
    reproduceSection(lock),
    limitsSection(facts),
    licenseSection(facts),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function cardHead({ lock, source, licenseFile }: CardFacts): string {
  const { license, licenseName, licenseLink, pipelineTag, languages, gating } = source;
  const { repository } = lock.source;
  const tags = ['gguf', 'quantized', ...(lock.imatrix === undefined ? [] : ['imatrix'])];
  const pair = (key: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`${key}: ${yamlText(value)}`];
  const list = (key: string, values: readonly string[]): string[] =>
    values.length === 0 ? [] : [`${key}:`, ...values.map((value) => `  - ${yamlText(value)}`)];
  return [
    '---',
    ...pair('base_model', repository),
    ...(repository === undefined ? [] : pair('base_model_relation', 'quantized')),
    ...pair('license', license),
    ...pair('license_name', licenseName),
    ...pair('license_link', licenseLink ?? (license === 'other' ? licenseFile : undefined)),
    ...list('language', languages),
    ...pair('pipeline_tag', pipelineTag),
    ...pair('library_name', 'gguf'),
    ...list('tags', [...tags, 'llama.cpp', 'reproducible']),
    ...pair('quantized_by', 'quantd'),
    ...gating.flatMap(([key, text]) => pair(key, text)),
    '---',
  ].join('\n');
}

/** A text in double quotes, as JSON writes it: every JSON text is a YAML one. */
function yamlText(text: string): string {
  const isPlain =
    /^[A-Za-z][A-Za-z0-9._/+-]*$/.test(text) &&
    !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text);
  return isPlain ? text : JSON.stringify(text);
}

function origin({ model, source: { repository, commit } }: CardFacts['lock']): string {
  if (repository === undefined) return escaped(model.name);
  const link = `[${repository}](https://huggingface.co/${repository})`;
  return commit === undefined ? link : `${link} at commit \`${commit.slice(0, 12)}\``;
}

/** Text inside Markdown and its tables. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]<>()#+!|]/g, (mark) => `\\${mark}`);
}

function outputTable({ lock, kvBytes }: CardFacts): string {
  const told = recipeNotes(lock);
  const rows = groupedOutputs(lock.outputs).map((output) => {
    const { files, stem, ftype, bytes, bitsPerWeight } = output;
    const ram = kvBytes === undefined ? '–' : sizeText(bytes + kvBytes);
    const [first = '', ...others] = files;
    const name = others.length === 0 ? `\`${first}\`` : `\`${first}\` and ${others.length} more`;
    const note = told.get(stem) ?? notes.find(([pattern]) => pattern.test(ftype))?.[1] ?? '';
    return `| ${name} | ${ftype} | ${bitsPerWeight.toFixed(2)} | ${sizeText(bytes)} | ${ram} | ${note} |`;
  });
  return [
    `| file | type | bits per weight | size | RAM, ${CARD_CONTEXT} tokens | |`,
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** What the recipe says of its outputs, by the name that their file would have in one piece. */
function recipeNotes({ model, wishes }: CardFacts['lock']): ReadonlyMap<string, string> {
  const outputs = wishes.recipe?.plain.output ?? [];
  return new Map(
    outputs.flatMap(({ name, ftype, note }) =>
      note === undefined ? [] : [[`${model.name}-${name ?? ftype}.gguf`, escaped(note)]],
    ),
  );
}

interface OutputGroup {
  /** The file's name, without the number of a part. */
  readonly stem: string;
  readonly files: readonly string[];
  readonly ftype: string;
  readonly bytes: number;
  readonly bitsPerWeight: number;
}

/** The parts of a split output stand in one row. */
function groupedOutputs(outputs: readonly LockedOutput[]): OutputGroup[] {
  const stemOf = (file: string): string => file.replace(/-\d{5}-of-\d{5}\.gguf$/, '.gguf');
  const stems = [...new Set(outputs.map(({ file }) => stemOf(file)))];
  return stems.map((stem) => {
    const parts = outputs.filter(({ file }) => stemOf(file) === stem);
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    const bits = parts.reduce((sum, part) => sum + part.bitsPerWeight * part.bytes, 0);
    return {
      stem,
      files: parts.map(({ file }) => file),
      ftype: parts[0]?.ftype ?? '',
      bytes,
      // Of parts, weighed by their sizes: their elements are not told.
      bitsPerWeight: bytes === 0 ? 0 : bits / bytes,
    };
  });
}

function sizeText(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${(bytes / MIB).toFixed(1)} MiB`;
}

function fence(...lines: readonly string[]): string {
  return ['```sh', ...lines, '```'].join('\n');
}

function runSection({ outputs }: CardFacts['lock']): string {
  const file = preferredFile(outputs);
  return [
    '## Run',
    '',
    'With [llama.cpp](https://github.com/ggml-org/llama.cpp), in the folder of the file:',
    '',
    fence(`llama-cli -m ${file} -n 64 -p "Once upon a time"`),
    '',
    'Ollama and LM Studio take the same file. Which one: the largest whose RAM your machine has free.',
  ].join('\n');
}

/** The one that most people want, else the first; of a split one the first part. */
function preferredFile(outputs: readonly LockedOutput[]): string {
  const found = outputs.find(({ ftype }) => ftype === 'Q4_K_M') ?? outputs[0];
  return found?.file ?? '';
}

function madeSection({ lock, perplexity }: CardFacts): string {
  const { contracts, calibration, imatrix, model } = lock;
  const lines = [
    `- quantd ${lock.quantd}: ${model.tensors} tensors, ${model.elements} weights; every type from one reading.`,
    `- The bytes of blocks and the choice of types are those of ${contracts.rules}.`,
  ];
  if (calibration !== undefined) {
    const texts = calibration.texts.map(({ file }) => `\`${file}\``).join(', ');
    lines.push(
      `- Importance matrix \`${imatrix?.file ?? ''}\`: measured over ${calibration.chunks} chunks of ` +
        `${calibration.chunkTokens} tokens of ${texts}${calibration.options.chat ? ', framed with the chat template of the model' : ''}, ` +
        `by the contract ${calibration.contract}.`,
    );
  } else if (imatrix !== undefined) {
    lines.push(`- Importance matrix: \`${imatrix.file}\`, given.`);
  }
  if (perplexity !== undefined) {
    lines.push(
      `- Perplexity of the source on the calibration: ${perplexity.value.toFixed(4)} ± ${perplexity.error.toFixed(4)}.`,
    );
  }
  return ['## How it was made', '', ...lines].join('\n');
}

function coverageSection({ coverage }: CardFacts): string {
  if (coverage === undefined || coverage.layers.length === 0) return '';
  const { floor, layers } = coverage;
  const rows = layers.map(
    ({ layer, experts, least, median, belowFloor }) =>
      `| ${layer} | ${experts} | ${least} | ${median} | ${belowFloor} |`,
  );
  return [
    '## Coverage of the experts',
    '',
    'Tokens of the calibration that reached each expert. What few tokens reach is quantized with little knowledge.',
    '',
    `| layer | experts | least | median | below ${floor} |`,
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function verifySection(lock: CardFacts['lock']): string {
  return [
    '## Verify',
    '',
    'In the folder of the release:',
    '',
    fence('sha256sum -c SHA256SUMS', 'quantd verify .'),
    '',
    `Both work offline; the second also reads the structure of all ${lock.outputs.length} files and the signature.`,
  ].join('\n');
}

function reproduceSection({ source: { repository, commit } }: CardFacts['lock']): string {
  const isHub = repository !== undefined;
  const place = isHub ? `${repository}${commit === undefined ? '' : `@${commit}`}` : '"$SOURCE"';
  const words = isHub
    ? 'Every byte above follows from what `quantd.lock.json` names:'
    : 'Every byte above follows from what `quantd.lock.json` names; SOURCE is where the checkpoint lies:';
  return [
    '## Reproduce',
    '',
    words,
    '',
    fence(`quantd reproduce quantd.lock.json --source ${place}`),
    '',
    'It ends with 0 only when every byte is the same. [REPRODUCE.md](REPRODUCE.md) has the single steps.',
  ].join('\n');
}

function limitsSection({ lock, coverage }: CardFacts): string {
  const few = coverage?.layers.reduce((sum, { belowFloor }) => sum + belowFloor, 0) ?? 0;
  const lines = [
    '- Text only: towers for images and sound are not in these files.',
    '- The quality of the single types was not measured for this card.',
    ...(lock.imatrix === undefined ? ['- Made without an importance matrix.'] : []),
    ...(few > 0
      ? [`- ${few} experts had fewer than ${coverage?.floor} tokens in the calibration.`]
      : []),
  ];
  return ['## Limits', '', ...lines].join('\n');
}

function licenseSection({ source, licenseFile }: CardFacts): string {
  const name = source.licenseName ?? source.license;
  const text =
    name === undefined ? 'That of the original model' : `${escaped(name)}, as the original model`;
  const file =
    licenseFile === undefined ? '.' : `; its text is in [${licenseFile}](${licenseFile}).`;
  return ['## Licence', '', `${text}${file}`].join('\n');
}
