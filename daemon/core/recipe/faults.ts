/** What a recipe can be refused for: an unknown name, a bad pattern, a type that cannot be made. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const recipeFaults = {
  unknownFtype: {
    code: 'QD-4101',
    exit: exitCodes.usage,
    what: 'no ftype has this name or number',
    hint: 'take one of the names listed above, or its number',
  },
  unknownBlockType: {
    code: 'QD-4102',
    exit: exitCodes.usage,
    what: 'no block type has this name',
    hint: 'take one of the names listed above',
  },
  badTensorTypeOption: {
    code: 'QD-4103',
    exit: exitCodes.usage,
    what: 'a tensor type is not of the form PATTERN=TYPE',
    hint: 'write for example --tensor-type "ffn_down=q8_0"',
  },
  badPattern: {
    code: 'QD-4104',
    exit: exitCodes.usage,
    what: 'a tensor pattern is not a regular expression that can be used',
    hint: 'write an ECMAScript pattern of plain characters, such as "blk\\.[0-3]\\.ffn_down"',
  },
  rowDoesNotFit: {
    code: 'QD-4105',
    exit: exitCodes.input,
    what: 'the rows of a tensor are no whole blocks of the type it should get',
    hint: 'give this tensor another type with --tensor-type, or choose another ftype',
  },
  layerUnknown: {
    code: 'QD-4106',
    exit: exitCodes.input,
    what: 'the name of a feed-forward tensor holds no layer of the model',
    hint: 'give this tensor a type of its own with --tensor-type',
  },
  importanceMissing: {
    code: 'QD-4107',
    exit: exitCodes.usage,
    what: 'a type that needs an importance matrix is wanted where there is none',
    hint: 'give one that covers these tensors: --imatrix FILE, or choose an ftype such as Q4_K_M',
  },
  kernelMissing: {
    code: 'QD-4108',
    exit: exitCodes.usage,
    what: 'this version cannot make a type that the ftype gives to a tensor',
    hint: 'choose another ftype, or give the tensor another type with --tensor-type',
  },
} as const satisfies Record<string, FaultKind>;
