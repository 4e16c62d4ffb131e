/** What can be wrong with the outputs that are asked for. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const planFaults = {
  typeTwice: {
    code: 'QD-1101',
    exit: exitCodes.usage,
    what: 'two outputs would have the same name',
    hint: 'name each type once in --type, or give the outputs of a recipe names of their own',
  },
  notPlain: {
    code: 'QD-1102',
    exit: exitCodes.usage,
    what: 'a conversion makes no quantized types',
    hint: 'convert to BF16, F16 or F32, or use: quantd quantize SOURCE --type …',
  },
  nothingSplit: {
    code: 'QD-1103',
    exit: exitCodes.usage,
    what: 'a checkpoint has no split that could be kept',
    hint: 'leave --keep-split out: it is for GGUFs',
  },
  badKeyOverride: {
    code: 'QD-4341',
    exit: exitCodes.usage,
    what: 'a metadata override cannot be used',
    hint: 'write for example --override-kv general.license=str:apache-2.0',
  },
  structuralKey: {
    code: 'QD-4342',
    exit: exitCodes.usage,
    what: 'a metadata override would contradict the tensors of the file',
    hint: 'leave this key as it is: it follows from the model',
  },
} as const satisfies Record<string, FaultKind>;
