/** What can be wrong with a calibration: QD-84xx. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const calibrationFaults = {
  fileMissing: {
    code: 'QD-8401',
    exit: exitCodes.input,
    what: 'a calibration file cannot be opened',
    hint: 'check the path given to --calibration; a pipe or a directory must become a file first',
  },
  fileEmpty: {
    code: 'QD-8402',
    exit: exitCodes.input,
    what: 'a calibration file is empty',
    hint: 'give a file with text, or --calibration default',
  },
  fileTooLarge: {
    code: 'QD-8403',
    exit: exitCodes.input,
    what: 'a calibration file is larger than any that is of use',
    hint: 'take a part of it: head -c 8M FILE > part.txt',
  },
  notUtf8: {
    code: 'QD-8404',
    exit: exitCodes.input,
    what: 'a calibration file is no UTF-8',
    hint: 'convert it: iconv -f LATIN1 -t UTF-8 FILE > text.txt',
  },
  binary: {
    code: 'QD-8405',
    exit: exitCodes.input,
    what: 'a calibration file holds a NUL byte, so it is no text',
    hint: 'give plain text; UTF-16 becomes UTF-8 with iconv -f UTF-16 -t UTF-8 FILE > text.txt',
  },
  tooShort: {
    code: 'QD-8406',
    exit: exitCodes.input,
    what: 'a calibration file has too few tokens',
    hint: 'give a longer text, or shorter chunks with --ctx',
  },
  nothingLeft: {
    code: 'QD-8407',
    exit: exitCodes.usage,
    what: '--from-chunk leaves fewer than two chunks',
    hint: 'lower --from-chunk, or give a longer text',
  },
  noTemplate: {
    code: 'QD-8408',
    exit: exitCodes.input,
    what: '--chat needs a chat template, and SOURCE has none',
    hint: 'leave --chat out: base models are measured on plain text',
  },
  badMessages: {
    code: 'QD-8409',
    exit: exitCodes.input,
    what: 'a line of messages is not understood',
    hint: 'each line is {"messages":[{"role":"user","content":"..."}]}, or only the list',
  },
  noSamples: {
    code: 'QD-8410',
    exit: exitCodes.input,
    what: 'a calibration file holds no sample',
    hint: 'give lines of messages (.jsonl), or text with empty lines between the samples',
  },
  vocabulary: {
    code: 'QD-8411',
    exit: exitCodes.input,
    what: 'text cannot be cut into the tokens of this model',
    hint: 'measure the matrix with llama-imatrix and give it with --imatrix',
  },
  noText: {
    code: 'QD-8412',
    exit: exitCodes.usage,
    what: 'the request names no text to measure with, or the default text beside others',
    hint: 'give files, --calibration FILE[,FILE...], or --calibration default alone',
  },
  twoMatrices: {
    code: 'QD-8413',
    exit: exitCodes.usage,
    what: 'an importance matrix is given and another is to be measured',
    hint: 'leave out --imatrix or --calibration',
  },
  nothingToMake: {
    code: 'QD-8414',
    exit: exitCodes.usage,
    what: 'there is neither a text to measure with nor a matrix to merge',
    hint: 'add --calibration FILE or --in-file FILE',
  },
  notMeasured: {
    code: 'QD-8415',
    exit: exitCodes.failed,
    what: 'this version cannot measure an importance matrix yet',
    hint: 'measure it with llama-imatrix and give it with --imatrix',
  },
} as const satisfies Record<string, FaultKind>;
