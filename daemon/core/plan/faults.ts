/** What can be wrong with the outputs that are asked for. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const planFaults = {
  typeTwice: {
    code: 'QD-1101',
    exit: exitCodes.usage,
    what: 'a type is asked for twice',
    hint: 'name each type once in --type',
  },
  notPlain: {
    code: 'QD-1102',
    exit: exitCodes.usage,
    what: 'a conversion makes no quantized types',
    hint: 'convert to BF16, F16 or F32, or use: quantd quantize SOURCE --type …',
  },
} as const satisfies Record<string, FaultKind>;
