/** What can be wrong with an importance matrix and with the options that go with it: QD-43xx. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

const { input, network, usage } = exitCodes;
const again = 'make it again with llama-imatrix, or get it again and compare its SHA-256';

export const importanceFaults = {
  fileMissing: {
    code: 'QD-4301',
    exit: input,
    what: 'the importance matrix cannot be read',
    hint: 'check the path given with --imatrix',
  },
  truncated: {
    code: 'QD-4302',
    exit: input,
    what: 'the importance matrix ends before its last entry does',
    hint: again,
  },
  notImportance: {
    code: 'QD-4303',
    exit: input,
    what: 'the file is a GGUF, but no importance matrix',
    hint: 'give the imatrix.gguf or .dat that llama-imatrix has made, not a model',
  },
  badMetadata: {
    code: 'QD-4304',
    exit: input,
    what: 'a metadata key of the importance matrix is missing or of another type',
    hint: again,
  },
  unpaired: {
    code: 'QD-4305',
    exit: input,
    what: 'an entry of the importance matrix has sums without counts, or counts without sums',
    hint: again,
  },
  badEntryType: {
    code: 'QD-4306',
    exit: input,
    what: 'an entry of the importance matrix is not stored as F32',
    hint: again,
  },
  badEntrySize: {
    code: 'QD-4307',
    exit: input,
    what: 'an entry of the importance matrix has an impossible size',
    hint: again,
  },
  badEntryName: {
    code: 'QD-4308',
    exit: input,
    what: 'the name of an entry of the importance matrix is malformed',
    hint: again,
  },
  duplicateEntry: {
    code: 'QD-4309',
    exit: input,
    what: 'an entry stands twice in the importance matrix',
    hint: again,
  },
  noEntries: {
    code: 'QD-4310',
    exit: input,
    what: 'the importance matrix has no entries',
    hint: again,
  },
  impossibleCount: {
    code: 'QD-4311',
    exit: input,
    what: 'the importance matrix counts more than its bytes can hold',
    hint: 'the file is damaged, or it is neither an imatrix.gguf nor an imatrix.dat',
  },
  trailingBytes: {
    code: 'QD-4312',
    exit: input,
    what: 'the importance matrix goes on after its end',
    hint: again,
  },
  badWeight: {
    code: 'QD-4313',
    exit: input,
    what: 'the importance matrix holds a weight that is negative or not finite',
    hint: 'the calibration overflowed or the file is damaged: make it again with llama-imatrix',
  },
  badCount: {
    code: 'QD-4314',
    exit: input,
    what: 'the importance matrix holds a count that is no count',
    hint: again,
  },
  sizeDiffers: {
    code: 'QD-4315',
    exit: input,
    what: 'the importance of a tensor has another size than the tensor',
    hint: 'it was made with another model; or leave the entry out: --exclude-weights NAME',
  },
  bothFilters: {
    code: 'QD-4316',
    exit: usage,
    what: '--include-weights and --exclude-weights cannot be given together',
    hint: 'use one of the two',
  },
  filterAlone: {
    code: 'QD-4317',
    exit: usage,
    what: '--include-weights and --exclude-weights choose among entries that are not there',
    hint: 'add --imatrix FILE, or leave the option out',
  },
  nothingLeft: {
    code: 'QD-4318',
    exit: usage,
    what: 'no entry of the importance matrix is left by the filters',
    hint: 'the filters are plain parts of names, such as ffn_down; quantd inspect FILE lists them',
  },
  unknownCompat: {
    code: 'QD-4319',
    exit: usage,
    what: '--compat knows no tool of this name',
    hint: 'write --compat llama-quantize',
  },
  pathCutInside: {
    code: 'QD-4320',
    exit: usage,
    what: 'the path of the importance matrix would be cut inside a character',
    hint: 'llama-quantize keeps 127 bytes of it: give a shorter path, or leave --compat out',
  },
  sumRefused: {
    code: 'QD-4321',
    exit: input,
    what: 'a sum of squares is not finite, or 2^62 or more',
    hint: 'the checkpoint overflows on this text: leave the chunk out, or try another text',
  },
  sumsOverflow: {
    code: 'QD-4322',
    exit: input,
    what: 'the sums of squares of several groups are together 2^63 or more',
    hint: 'the checkpoint overflows on this text: try fewer chunks, or another text',
  },
  badSums: {
    code: 'QD-4323',
    exit: network,
    what: 'the sums of a layer are not what such sums can be',
    hint: 'a peer is of another version or broken: compare quantd --version on all machines',
  },
  entriesDiffer: {
    code: 'QD-4324',
    exit: input,
    what: 'an entry has another size in another importance matrix',
    hint: 'merge only matrices of one model: leave one --in-file out',
  },
  mergedCount: {
    code: 'QD-4325',
    exit: input,
    what: 'the importance matrices count more together than a file can say',
    hint: 'merge fewer of them: leave one --in-file out',
  },
  datTooLarge: {
    code: 'QD-4326',
    exit: input,
    what: 'the importance matrix does not fit into the older form of the file',
    hint: 'write it as GGUF: --format gguf',
  },
} as const satisfies Record<string, FaultKind>;
