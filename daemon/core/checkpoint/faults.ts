/** What can be wrong with a checkpoint's files: QD-21xx safetensors, QD-22xx all the others. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

const exit = exitCodes.input;
const again = 'download the file again: hf download REPO FILE --local-dir SOURCE';

export const checkpointFaults = {
  tensorFileTooShort: {
    code: 'QD-2101',
    exit,
    what: 'a safetensors file is too short to hold a header',
    hint: again,
  },
  headerLengthWrong: {
    code: 'QD-2102',
    exit,
    what: 'a safetensors file gives an impossible length for its header',
    hint: again,
  },
  headerNotJson: {
    code: 'QD-2103',
    exit,
    what: 'the header of a safetensors file is not the JSON that the format asks for',
    hint: again,
  },
  headerKeyTwice: {
    code: 'QD-2104',
    exit,
    what: 'the header of a safetensors file names something twice',
    hint: 'do not use this file: two readers would see two different models in it',
  },
  tooManyTensors: {
    code: 'QD-2105',
    exit,
    what: 'a safetensors file lists more tensors than any model has',
    hint: 'check where this file comes from',
  },
  tensorEntryWrong: {
    code: 'QD-2106',
    exit,
    what: 'a tensor of a safetensors file is described wrongly',
    hint: again,
  },
  tensorFileShorter: {
    code: 'QD-2107',
    exit,
    what: 'a safetensors file is shorter than its header says',
    hint: 'the download is not complete: run it again with hf download REPO --local-dir SOURCE',
  },
  tensorFileLonger: {
    code: 'QD-2108',
    exit,
    what: 'a safetensors file has bytes that belong to no tensor at its end',
    hint: again,
  },
  offsetsWrong: {
    code: 'QD-2109',
    exit,
    what: 'the tensors of a safetensors file do not lie one after the other',
    hint: again,
  },
  shapeAndBytesDiffer: {
    code: 'QD-2110',
    exit,
    what: "a tensor's shape does not fit its number of bytes",
    hint: again,
  },
  dtypeUnknown: {
    code: 'QD-2111',
    exit,
    what: 'a tensor has a dtype that the safetensors format does not know',
    hint: again,
  },
  dtypeUnsupported: {
    code: 'QD-2112',
    exit,
    what: 'the model needs a tensor whose dtype cannot be converted',
    hint: 'use the BF16, F16 or F32 release of this model, not one that is already quantized',
  },
  tensorNameWrong: {
    code: 'QD-2113',
    exit,
    what: 'a tensor has an impossible name',
    hint: 'do not use this file: no known tool writes such names',
  },
  headerMetadataWrong: {
    code: 'QD-2114',
    exit,
    what: 'the __metadata__ of a safetensors file is not a map from text to text',
    hint: again,
  },

  configMissing: {
    code: 'QD-2201',
    exit,
    what: 'SOURCE has no config.json',
    hint: 'give the directory that hf download REPO --local-dir SOURCE filled',
  },
  fileTooLarge: {
    code: 'QD-2202',
    exit,
    what: 'a file is larger than any model needs',
    hint: 'check where this file comes from',
  },
  notJson: {
    code: 'QD-2203',
    exit,
    what: 'a file is not the JSON that it should be',
    hint: again,
  },
  notObject: {
    code: 'QD-2204',
    exit,
    what: 'a JSON file does not hold an object',
    hint: again,
  },
  keyMissing: {
    code: 'QD-2205',
    exit,
    what: 'a value that the model needs is missing',
    hint: 'compare the file with the one in the original repository',
  },
  keyWrong: {
    code: 'QD-2206',
    exit,
    what: 'a value is not of the kind or in the range that the model needs',
    hint: 'compare the file with the one in the original repository',
  },
  lfsPointer: {
    code: 'QD-2207',
    exit,
    what: 'a file is only a Git LFS pointer, its content was not fetched',
    hint: 'run git lfs pull in SOURCE, or hf download REPO --local-dir SOURCE',
  },
  notText: {
    code: 'QD-2208',
    exit,
    what: 'a file is not UTF-8 text',
    hint: again,
  },
  keyTwice: {
    code: 'QD-2209',
    exit,
    what: 'a JSON file gives the same key twice',
    hint: 'remove one of the two: readers disagree about which one counts',
  },

  indexWrong: {
    code: 'QD-2211',
    exit,
    what: 'the list of tensor files is not as it should be',
    hint: 'download it again: hf download REPO model.safetensors.index.json --local-dir SOURCE',
  },
  shardNameWrong: {
    code: 'QD-2212',
    exit,
    what: 'the index names a file that is not a plain .safetensors file beside it',
    hint: 'do not use this checkpoint: its index points outside of it',
  },
  shardMissing: {
    code: 'QD-2213',
    exit,
    what: 'a tensor file that the index names is not there',
    hint: 'the download is not complete: run it again with hf download REPO --local-dir SOURCE',
  },
  shardExtra: {
    code: 'QD-2214',
    exit,
    what: 'there is a tensor file that the index does not name',
    hint: 'SOURCE mixes two releases: download this one again into an empty directory',
  },
  tensorNotIndexed: {
    code: 'QD-2215',
    exit,
    what: 'a tensor file holds a tensor that the index does not name',
    hint: 'SOURCE mixes two releases: download this one again into an empty directory',
  },
  tensorTwice: {
    code: 'QD-2216',
    exit,
    what: 'two tensor files hold a tensor of the same name',
    hint: 'SOURCE mixes two releases: download this one again into an empty directory',
  },
  tensorElsewhere: {
    code: 'QD-2217',
    exit,
    what: 'a tensor is in another file than the index says',
    hint: 'SOURCE mixes two releases: download this one again into an empty directory',
  },
  tensorMissing: {
    code: 'QD-2218',
    exit,
    what: 'a tensor that the index names is in none of the files',
    hint: 'SOURCE mixes two releases: download this one again into an empty directory',
  },

  noTensorFiles: {
    code: 'QD-2221',
    exit,
    what: 'SOURCE has no .safetensors files',
    hint: 'give the directory that hf download REPO --local-dir SOURCE filled',
  },
  pickleOnly: {
    code: 'QD-2222',
    exit,
    what: 'SOURCE has its tensors as Python pickles, which can run code when they are read',
    hint: 'use a release of this model with .safetensors files',
  },
  severalWithoutIndex: {
    code: 'QD-2223',
    exit,
    what: 'SOURCE has several .safetensors files and no model.safetensors.index.json',
    hint: 'fetch the index: hf download REPO model.safetensors.index.json --local-dir SOURCE',
  },
  alreadyGguf: {
    code: 'QD-2224',
    exit,
    what: 'SOURCE holds a GGUF, which is what comes out, not what goes in',
    hint: 'give the Hugging Face directory that the GGUF was made from',
  },
  tokenizerMissing: {
    code: 'QD-2225',
    exit,
    what: 'SOURCE lacks a file of the tokenizer',
    hint: 'download it: hf download REPO tokenizer.json tokenizer_config.json --local-dir SOURCE',
  },
} as const satisfies Record<string, FaultKind>;
