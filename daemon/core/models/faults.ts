/**
 * Faults of the model area: what config.json, the tensor names and the tokenizer can get wrong.
 *
 * QD-23xx is the model and its config, QD-24xx the tokenizer. A value that is missing, of another kind
 * or out of range is a fault of the reader that found it (checkpoint/faults.ts).
 */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

const downloadAgain =
  'Compare the files with the ones their publisher offers and download them again.';

export const modelFaults = {
  unknownArchitecture: {
    code: 'QD-2301',
    exit: exitCodes.input,
    what: 'no model family of this version reads this architecture',
    hint: 'Take a checkpoint of one of the known architectures, or a newer version of quantd.',
  },
  missingTensor: {
    code: 'QD-2302',
    exit: exitCodes.input,
    what: 'the checkpoint lacks a tensor that config.json asks for',
    hint: downloadAgain,
  },
  unknownTensor: {
    code: 'QD-2303',
    exit: exitCodes.input,
    what: 'the checkpoint has tensors that its model family does not know',
    hint: 'If it is a fine-tune with adapters, merge them into the weights first.',
  },
  tensorShape: {
    code: 'QD-2304',
    exit: exitCodes.input,
    what: 'a tensor has another shape than config.json says',
    hint: 'config.json and the weights must come from one and the same checkpoint.',
  },
  repeatedTensor: {
    code: 'QD-2305',
    exit: exitCodes.input,
    what: 'two tensors of the checkpoint are the same tensor of the model',
    hint: downloadAgain,
  },
  mixedDtypes: {
    code: 'QD-2306',
    exit: exitCodes.input,
    what: 'the experts of one tensor are stored in different element types',
    hint: 'Save the checkpoint again in one element type.',
  },
  badDescription: {
    code: 'QD-2308',
    exit: exitCodes.network,
    what: 'another machine describes a model in a way that means nothing',
    hint: 'all machines of a cluster run one version of quantd: quantd peers',
  },
  unsupportedConfig: {
    code: 'QD-2307',
    exit: exitCodes.input,
    what: 'config.json asks for something that a GGUF of this family cannot say',
    hint: 'Take another checkpoint of the family; this one would give wrong answers.',
  },
} as const satisfies Record<string, FaultKind>;

export const tokenizerFaults = {
  tokenizerKind: {
    code: 'QD-2401',
    exit: exitCodes.input,
    what: 'tokenizer.json is not of the kind this model family uses',
    hint: 'config.json and the tokenizer must come from one and the same checkpoint.',
  },
  tokenIds: {
    code: 'QD-2402',
    exit: exitCodes.input,
    what: 'the token ids are not 0, 1, 2, … without gaps and repeats',
    hint: downloadAgain,
  },
  vocabularySize: {
    code: 'QD-2403',
    exit: exitCodes.input,
    what: 'the tokenizer has more tokens than the model has embedding rows',
    hint: 'config.json and the tokenizer must come from one and the same checkpoint.',
  },
  mergeParts: {
    code: 'QD-2404',
    exit: exitCodes.input,
    what: 'a merge of tokenizer.json is not a pair of tokens that make a token',
    hint: downloadAgain,
  },
  specialToken: {
    code: 'QD-2405',
    exit: exitCodes.input,
    what: 'a special token is missing or not one of the tokens',
    hint: 'Name it in tokenizer_config.json, or give its id in config.json.',
  },
  tokenizerSize: {
    code: 'QD-2406',
    exit: exitCodes.input,
    what: 'the tokenizer is larger than any that is known',
    hint: downloadAgain,
  },
  byteTokens: {
    code: 'QD-2407',
    exit: exitCodes.input,
    what: 'the tokenizer lacks a token for one of the 256 bytes',
    hint: downloadAgain,
  },
} as const satisfies Record<string, FaultKind>;
