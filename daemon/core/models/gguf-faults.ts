/** What can be wrong with a GGUF as the source of a run: QD-33xx. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const ggufModelFaults = {
  noModel: {
    code: 'QD-3301',
    exit: exitCodes.input,
    what: 'the GGUF holds no model',
    hint: 'give the GGUF of a model: an importance matrix is not one',
  },
  badFact: {
    code: 'QD-3302',
    exit: exitCodes.input,
    what: 'a metadata key that says what the model is like has an impossible value',
    hint: 'this file was not made by a correct writer: convert the model again',
  },
  alreadyQuantized: {
    code: 'QD-3303',
    exit: exitCodes.usage,
    what: 'a tensor is quantized already and would lose once more',
    hint: 'quantize the F16, BF16 or F32 GGUF, or add --allow-requantize',
  },
  noNumbers: {
    code: 'QD-3304',
    exit: exitCodes.input,
    what: 'a tensor that should be quantized is of a type that cannot be read as numbers',
    hint: "leave it as it is: --tensor-type 'PATTERN=ITS_OWN_TYPE'",
  },
  badLayer: {
    code: 'QD-3305',
    exit: exitCodes.usage,
    what: 'a layer to prune is not one of the model',
    hint: 'layers count from 0: --prune-layers 20,21',
  },
  conversion: {
    code: 'QD-3306',
    exit: exitCodes.usage,
    what: 'a conversion begins with a checkpoint, and SOURCE is a file',
    hint: 'use: quantd quantize SOURCE.gguf --type F16 --out DIR',
  },
} as const satisfies Record<string, FaultKind>;
