/** Everything that can be wrong with a GGUF: QD-31xx when reading one, QD-32xx when laying one out. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

const { input } = exitCodes;
const again = 'get the file again from where it was made, and compare its SHA-256';
const report = 'this file was not made by a correct writer: convert the model again';

export const ggufFaults = {
  notGguf: {
    code: 'QD-3101',
    exit: input,
    what: 'the file is no GGUF',
    hint: 'name a .gguf or .safetensors file',
  },
  truncated: {
    code: 'QD-3102',
    exit: input,
    what: 'the file ends inside the header of the GGUF',
    hint: again,
  },
  unsupportedVersion: {
    code: 'QD-3103',
    exit: input,
    what: 'the GGUF has a version that is not read',
    hint: 'convert the model again: versions 2 and 3, little endian, are read',
  },
  overLimit: {
    code: 'QD-3104',
    exit: input,
    what: 'the header of the GGUF exceeds a limit',
    hint: 'no known model comes near the limits of docs/gguf.md: mistrust the file',
  },
  impossibleCount: {
    code: 'QD-3105',
    exit: input,
    what: 'the GGUF counts more entries than its bytes can hold',
    hint: again,
  },
  badKey: { code: 'QD-3106', exit: input, what: 'a metadata key is malformed', hint: report },
  duplicateKey: {
    code: 'QD-3107',
    exit: input,
    what: 'a metadata key stands twice',
    hint: report,
  },
  unknownValueType: {
    code: 'QD-3108',
    exit: input,
    what: 'a metadata value has an unknown type',
    hint: report,
  },
  nestedArray: {
    code: 'QD-3109',
    exit: input,
    what: 'a metadata array holds arrays',
    hint: report,
  },
  badBool: {
    code: 'QD-3110',
    exit: input,
    what: 'a metadata boolean is neither 0 nor 1',
    hint: report,
  },
  badAlignment: {
    code: 'QD-3111',
    exit: input,
    what: 'general.alignment is no u32 that is a power of two up to 2^20',
    hint: report,
  },
  badArchitecture: {
    code: 'QD-3112',
    exit: input,
    what: 'general.architecture is missing or no text',
    hint: report,
  },
  badTensorName: {
    code: 'QD-3113',
    exit: input,
    what: 'a tensor name is malformed',
    hint: report,
  },
  duplicateTensor: {
    code: 'QD-3114',
    exit: input,
    what: 'a tensor name stands twice',
    hint: report,
  },
  badShape: {
    code: 'QD-3115',
    exit: input,
    what: 'a tensor has an impossible shape',
    hint: report,
  },
  unknownBlockType: {
    code: 'QD-3116',
    exit: input,
    what: 'a tensor has an unknown or retired block type',
    hint: 'convert the model again with a current llama.cpp, or update quantd',
  },
  badOffset: {
    code: 'QD-3117',
    exit: input,
    what: 'a tensor does not begin where the one before it ends',
    hint: report,
  },
  outsideFile: {
    code: 'QD-3118',
    exit: input,
    what: 'a tensor reaches past the end of the file',
    hint: again,
  },
  trailingBytes: {
    code: 'QD-3119',
    exit: input,
    what: 'the file goes on after the last tensor',
    hint: again,
  },
  badSplit: {
    code: 'QD-3120',
    exit: input,
    what: 'the parts of a split GGUF do not belong together',
    hint: 'put all parts of one download, and no others, into one folder',
  },
  unwritableKey: {
    code: 'QD-3201',
    exit: input,
    what: 'a metadata key cannot be written',
    hint: 'keys are lower-case ASCII words with dots between them, each key once',
  },
  unwritableValue: {
    code: 'QD-3202',
    exit: input,
    what: 'a metadata value does not fit its type',
    hint: 'look at the value in config.json, tokenizer.json or on the command line',
  },
  unwritableName: {
    code: 'QD-3203',
    exit: input,
    what: 'a tensor name cannot be written',
    hint: 'names have 1 to 63 bytes of UTF-8 without control characters, each name once',
  },
  unwritableShape: {
    code: 'QD-3204',
    exit: input,
    what: 'a tensor of this shape cannot be written in this block type',
    hint: 'rows must be whole blocks: choose another type for this tensor',
  },
  unwritableSize: {
    code: 'QD-3205',
    exit: input,
    what: 'the GGUF would exceed a limit of the format',
    hint: 'see the limits in docs/gguf.md',
  },
  alignmentDisagrees: {
    code: 'QD-3206',
    exit: input,
    what: 'general.alignment disagrees with the alignment the file is laid out with',
    hint: 'remove the key or write the alignment in use, as u32',
  },
} as const satisfies Record<string, FaultKind>;
