/** What can be wrong with splitting, merging and retouching a GGUF. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

const { usage, input } = exitCodes;

export const rewriteFaults = {
  notOneFile: {
    code: 'QD-3401',
    exit: usage,
    what: 'SOURCE is a directory',
    hint: 'name a .gguf file; a checkpoint becomes one with: quantd convert SOURCE --type BF16 --out FILE',
  },
  alreadySplit: {
    code: 'QD-3402',
    exit: usage,
    what: 'the GGUF is a part of a split one already',
    hint: 'make it whole first: quantd merge FIRST-PART --out FILE',
  },
  notSplit: {
    code: 'QD-3403',
    exit: usage,
    what: 'the GGUF is whole: there is nothing to merge',
    hint: 'name a part of a split GGUF, such as model-00001-of-00003.gguf',
  },
  tooManyParts: {
    code: 'QD-3404',
    exit: usage,
    what: 'the GGUF would be cut into too many parts',
    hint: 'raise --split-max-tensors or --split-max-size',
  },
  badPrefix: {
    code: 'QD-3405',
    exit: usage,
    what: 'no file name can begin with this',
    hint: 'name what the parts are called before their number: --out DIR/model',
  },
  ownSource: {
    code: 'QD-3406',
    exit: usage,
    what: 'an output would be written over SOURCE',
    hint: 'choose another --out; metadata alone is changed with: quantd retouch FILE --in-place',
  },
  badSetting: {
    code: 'QD-3407',
    exit: usage,
    what: 'a setting cannot be used',
    hint: 'write for example --set general.license=str:mit or --set \'general.tags=str[]:["a"]\'',
  },
  guardedKey: {
    code: 'QD-3408',
    exit: usage,
    what: 'this key decides how the tensors are read',
    hint: 'leave it as it is: it follows from the model; --force changes it nevertheless',
  },
  layoutKey: {
    code: 'QD-3409',
    exit: usage,
    what: 'this key belongs to how the file is laid out',
    hint: 'parts are made by quantd split and put together by quantd merge',
  },
  noSuchKey: {
    code: 'QD-3410',
    exit: usage,
    what: 'a key that is to be removed is not there',
    hint: 'quantd inspect FILE shows the keys',
  },
  typeChanges: {
    code: 'QD-3411',
    exit: usage,
    what: 'a setting would change the type of a key',
    hint: 'give the type that it has, which readers expect; --force changes it nevertheless',
  },
  nothingAsked: {
    code: 'QD-3412',
    exit: usage,
    what: 'nothing is to be changed',
    hint: 'say what: --set, --remove, --name or --chat-template',
  },
  keyTwice: {
    code: 'QD-3413',
    exit: usage,
    what: 'a key is named twice',
    hint: 'name each key once in --set, --remove, --name and --chat-template',
  },
  badTemplate: {
    code: 'QD-3414',
    exit: input,
    what: 'the file is no chat template',
    hint: 'name a text file in UTF-8, such as chat_template.jinja of the model',
  },
  twoLimits: {
    code: 'QD-3416',
    exit: usage,
    what: 'parts are limited in two ways',
    hint: 'give either --split-max-tensors or --split-max-size',
  },
  laterPart: {
    code: 'QD-3415',
    exit: usage,
    what: 'only the first part of a split GGUF has metadata of the model',
    hint: 'name the part with 00001 in its name',
  },
} as const satisfies Record<string, FaultKind>;
