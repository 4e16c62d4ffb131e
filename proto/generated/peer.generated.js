// Generated from peer.proto by scripts/generate-proto.mjs.
/*eslint-disable block-scoped-var, id-length, no-control-regex, no-magic-numbers, no-mixed-operators, no-prototype-builtins, no-redeclare, no-shadow, no-var, sort-vars, default-case, jsdoc/require-param*/
import $protobuf from "protobufjs/minimal.js";

const $Reader = $protobuf.Reader, $Writer = $protobuf.Writer, $util = $protobuf.util;
const $Object = $util.global.Object, $undefined = $util.global.undefined, $Error = $util.global.Error, $RangeError = $util.global.RangeError;

const $root = $protobuf.roots["quantd-peer"] || ($protobuf.roots["quantd-peer"] = {});

export const quantd = $root.quantd = (() => {

    const quantd = {};

    quantd.Envelope = (function() {

        const Envelope = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Envelope.prototype.hello = null;
        Envelope.prototype.runOpen = null;
        Envelope.prototype.lease = null;
        Envelope.prototype.working = null;
        Envelope.prototype.answer = null;
        Envelope.prototype.kept = null;
        Envelope.prototype.runClose = null;
        Envelope.prototype.members = null;
        Envelope.prototype.keyChange = null;
        Envelope.prototype.stageLease = null;
        Envelope.prototype.stageWorking = null;
        Envelope.prototype.stageAnswer = null;
        Envelope.prototype.stageKept = null;
        Envelope.prototype.stateRelease = null;
        Envelope.prototype.sumsHeld = null;
        Envelope.prototype.sumsKept = null;
        Envelope.prototype.meet = null;
        Envelope.prototype.assemble = null;
        Envelope.prototype.assemblyState = null;
        Envelope.prototype.assemblyTake = null;
        Envelope.prototype.assemblyTaken = null;
        Envelope.prototype.assemblySeal = null;
        Envelope.prototype.assemblyEnd = null;
        Envelope.prototype.piecesVoid = null;

        let $oneOfFields;

        $Object.defineProperty(Envelope.prototype, "message", {
            get: $util.oneOfGetter($oneOfFields = ["hello", "runOpen", "lease", "working", "answer", "kept", "runClose", "members", "keyChange", "stageLease", "stageWorking", "stageAnswer", "stageKept", "stateRelease", "sumsHeld", "sumsKept", "meet", "assemble", "assemblyState", "assemblyTake", "assemblyTaken", "assemblySeal", "assemblyEnd", "piecesVoid"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        Envelope.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.hello != null && $Object.hasOwnProperty.call(message, "hello"))
                $root.quantd.Hello.encode(message.hello, writer.uint32(10).fork(), _depth + 1).ldelim();
            if (message.runOpen != null && $Object.hasOwnProperty.call(message, "runOpen"))
                $root.quantd.RunOpen.encode(message.runOpen, writer.uint32(18).fork(), _depth + 1).ldelim();
            if (message.lease != null && $Object.hasOwnProperty.call(message, "lease"))
                $root.quantd.Lease.encode(message.lease, writer.uint32(26).fork(), _depth + 1).ldelim();
            if (message.working != null && $Object.hasOwnProperty.call(message, "working"))
                $root.quantd.Working.encode(message.working, writer.uint32(34).fork(), _depth + 1).ldelim();
            if (message.answer != null && $Object.hasOwnProperty.call(message, "answer"))
                $root.quantd.LeaseAnswer.encode(message.answer, writer.uint32(42).fork(), _depth + 1).ldelim();
            if (message.kept != null && $Object.hasOwnProperty.call(message, "kept"))
                $root.quantd.Kept.encode(message.kept, writer.uint32(50).fork(), _depth + 1).ldelim();
            if (message.runClose != null && $Object.hasOwnProperty.call(message, "runClose"))
                $root.quantd.RunClose.encode(message.runClose, writer.uint32(58).fork(), _depth + 1).ldelim();
            if (message.members != null && $Object.hasOwnProperty.call(message, "members"))
                $root.quantd.MemberRecords.encode(message.members, writer.uint32(66).fork(), _depth + 1).ldelim();
            if (message.keyChange != null && $Object.hasOwnProperty.call(message, "keyChange"))
                $root.quantd.KeyChange.encode(message.keyChange, writer.uint32(74).fork(), _depth + 1).ldelim();
            if (message.stageLease != null && $Object.hasOwnProperty.call(message, "stageLease"))
                $root.quantd.StageLease.encode(message.stageLease, writer.uint32(82).fork(), _depth + 1).ldelim();
            if (message.stageWorking != null && $Object.hasOwnProperty.call(message, "stageWorking"))
                $root.quantd.StageWorking.encode(message.stageWorking, writer.uint32(90).fork(), _depth + 1).ldelim();
            if (message.stageAnswer != null && $Object.hasOwnProperty.call(message, "stageAnswer"))
                $root.quantd.StageAnswer.encode(message.stageAnswer, writer.uint32(98).fork(), _depth + 1).ldelim();
            if (message.stageKept != null && $Object.hasOwnProperty.call(message, "stageKept"))
                $root.quantd.StageKept.encode(message.stageKept, writer.uint32(106).fork(), _depth + 1).ldelim();
            if (message.stateRelease != null && $Object.hasOwnProperty.call(message, "stateRelease"))
                $root.quantd.StateRelease.encode(message.stateRelease, writer.uint32(114).fork(), _depth + 1).ldelim();
            if (message.sumsHeld != null && $Object.hasOwnProperty.call(message, "sumsHeld"))
                $root.quantd.SumsHeld.encode(message.sumsHeld, writer.uint32(122).fork(), _depth + 1).ldelim();
            if (message.sumsKept != null && $Object.hasOwnProperty.call(message, "sumsKept"))
                $root.quantd.SumsKept.encode(message.sumsKept, writer.uint32(130).fork(), _depth + 1).ldelim();
            if (message.meet != null && $Object.hasOwnProperty.call(message, "meet"))
                $root.quantd.Meet.encode(message.meet, writer.uint32(138).fork(), _depth + 1).ldelim();
            if (message.assemble != null && $Object.hasOwnProperty.call(message, "assemble"))
                $root.quantd.Assemble.encode(message.assemble, writer.uint32(146).fork(), _depth + 1).ldelim();
            if (message.assemblyState != null && $Object.hasOwnProperty.call(message, "assemblyState"))
                $root.quantd.AssemblyState.encode(message.assemblyState, writer.uint32(154).fork(), _depth + 1).ldelim();
            if (message.assemblyTake != null && $Object.hasOwnProperty.call(message, "assemblyTake"))
                $root.quantd.AssemblyTake.encode(message.assemblyTake, writer.uint32(162).fork(), _depth + 1).ldelim();
            if (message.assemblyTaken != null && $Object.hasOwnProperty.call(message, "assemblyTaken"))
                $root.quantd.AssemblyTaken.encode(message.assemblyTaken, writer.uint32(170).fork(), _depth + 1).ldelim();
            if (message.assemblySeal != null && $Object.hasOwnProperty.call(message, "assemblySeal"))
                $root.quantd.AssemblySeal.encode(message.assemblySeal, writer.uint32(178).fork(), _depth + 1).ldelim();
            if (message.assemblyEnd != null && $Object.hasOwnProperty.call(message, "assemblyEnd"))
                $root.quantd.AssemblyEnd.encode(message.assemblyEnd, writer.uint32(186).fork(), _depth + 1).ldelim();
            if (message.piecesVoid != null && $Object.hasOwnProperty.call(message, "piecesVoid"))
                $root.quantd.PiecesVoid.encode(message.piecesVoid, writer.uint32(194).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Envelope.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Envelope();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        message.hello = $root.quantd.Hello.decode(reader, reader.size(), $undefined, _depth + 1, message.hello);
                        message.message = "hello";
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        message.runOpen = $root.quantd.RunOpen.decode(reader, reader.size(), $undefined, _depth + 1, message.runOpen);
                        message.message = "runOpen";
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        message.lease = $root.quantd.Lease.decode(reader, reader.size(), $undefined, _depth + 1, message.lease);
                        message.message = "lease";
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        message.working = $root.quantd.Working.decode(reader, reader.size(), $undefined, _depth + 1, message.working);
                        message.message = "working";
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        message.answer = $root.quantd.LeaseAnswer.decode(reader, reader.size(), $undefined, _depth + 1, message.answer);
                        message.message = "answer";
                        continue;
                    }
                case 6: {
                        if (wireType !== 2)
                            break;
                        message.kept = $root.quantd.Kept.decode(reader, reader.size(), $undefined, _depth + 1, message.kept);
                        message.message = "kept";
                        continue;
                    }
                case 7: {
                        if (wireType !== 2)
                            break;
                        message.runClose = $root.quantd.RunClose.decode(reader, reader.size(), $undefined, _depth + 1, message.runClose);
                        message.message = "runClose";
                        continue;
                    }
                case 8: {
                        if (wireType !== 2)
                            break;
                        message.members = $root.quantd.MemberRecords.decode(reader, reader.size(), $undefined, _depth + 1, message.members);
                        message.message = "members";
                        continue;
                    }
                case 9: {
                        if (wireType !== 2)
                            break;
                        message.keyChange = $root.quantd.KeyChange.decode(reader, reader.size(), $undefined, _depth + 1, message.keyChange);
                        message.message = "keyChange";
                        continue;
                    }
                case 10: {
                        if (wireType !== 2)
                            break;
                        message.stageLease = $root.quantd.StageLease.decode(reader, reader.size(), $undefined, _depth + 1, message.stageLease);
                        message.message = "stageLease";
                        continue;
                    }
                case 11: {
                        if (wireType !== 2)
                            break;
                        message.stageWorking = $root.quantd.StageWorking.decode(reader, reader.size(), $undefined, _depth + 1, message.stageWorking);
                        message.message = "stageWorking";
                        continue;
                    }
                case 12: {
                        if (wireType !== 2)
                            break;
                        message.stageAnswer = $root.quantd.StageAnswer.decode(reader, reader.size(), $undefined, _depth + 1, message.stageAnswer);
                        message.message = "stageAnswer";
                        continue;
                    }
                case 13: {
                        if (wireType !== 2)
                            break;
                        message.stageKept = $root.quantd.StageKept.decode(reader, reader.size(), $undefined, _depth + 1, message.stageKept);
                        message.message = "stageKept";
                        continue;
                    }
                case 14: {
                        if (wireType !== 2)
                            break;
                        message.stateRelease = $root.quantd.StateRelease.decode(reader, reader.size(), $undefined, _depth + 1, message.stateRelease);
                        message.message = "stateRelease";
                        continue;
                    }
                case 15: {
                        if (wireType !== 2)
                            break;
                        message.sumsHeld = $root.quantd.SumsHeld.decode(reader, reader.size(), $undefined, _depth + 1, message.sumsHeld);
                        message.message = "sumsHeld";
                        continue;
                    }
                case 16: {
                        if (wireType !== 2)
                            break;
                        message.sumsKept = $root.quantd.SumsKept.decode(reader, reader.size(), $undefined, _depth + 1, message.sumsKept);
                        message.message = "sumsKept";
                        continue;
                    }
                case 17: {
                        if (wireType !== 2)
                            break;
                        message.meet = $root.quantd.Meet.decode(reader, reader.size(), $undefined, _depth + 1, message.meet);
                        message.message = "meet";
                        continue;
                    }
                case 18: {
                        if (wireType !== 2)
                            break;
                        message.assemble = $root.quantd.Assemble.decode(reader, reader.size(), $undefined, _depth + 1, message.assemble);
                        message.message = "assemble";
                        continue;
                    }
                case 19: {
                        if (wireType !== 2)
                            break;
                        message.assemblyState = $root.quantd.AssemblyState.decode(reader, reader.size(), $undefined, _depth + 1, message.assemblyState);
                        message.message = "assemblyState";
                        continue;
                    }
                case 20: {
                        if (wireType !== 2)
                            break;
                        message.assemblyTake = $root.quantd.AssemblyTake.decode(reader, reader.size(), $undefined, _depth + 1, message.assemblyTake);
                        message.message = "assemblyTake";
                        continue;
                    }
                case 21: {
                        if (wireType !== 2)
                            break;
                        message.assemblyTaken = $root.quantd.AssemblyTaken.decode(reader, reader.size(), $undefined, _depth + 1, message.assemblyTaken);
                        message.message = "assemblyTaken";
                        continue;
                    }
                case 22: {
                        if (wireType !== 2)
                            break;
                        message.assemblySeal = $root.quantd.AssemblySeal.decode(reader, reader.size(), $undefined, _depth + 1, message.assemblySeal);
                        message.message = "assemblySeal";
                        continue;
                    }
                case 23: {
                        if (wireType !== 2)
                            break;
                        message.assemblyEnd = $root.quantd.AssemblyEnd.decode(reader, reader.size(), $undefined, _depth + 1, message.assemblyEnd);
                        message.message = "assemblyEnd";
                        continue;
                    }
                case 24: {
                        if (wireType !== 2)
                            break;
                        message.piecesVoid = $root.quantd.PiecesVoid.decode(reader, reader.size(), $undefined, _depth + 1, message.piecesVoid);
                        message.message = "piecesVoid";
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Envelope;
    })();

    quantd.Hello = (function() {

        const Hello = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Hello.prototype.version = "";
        Hello.prototype.contract = "";
        Hello.prototype.name = "";
        Hello.prototype.isa = "";
        Hello.prototype.threads = 0;
        Hello.prototype.ramBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        Hello.prototype.diskBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        Hello.prototype.bytesPerSecond = 0;
        Hello.prototype.multiplicationsPerSecond = 0;

        Hello.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.version != null && $Object.hasOwnProperty.call(message, "version") && message.version !== "")
                writer.uint32(10).string(message.version);
            if (message.contract != null && $Object.hasOwnProperty.call(message, "contract") && message.contract !== "")
                writer.uint32(18).string(message.contract);
            if (message.name != null && $Object.hasOwnProperty.call(message, "name") && message.name !== "")
                writer.uint32(26).string(message.name);
            if (message.isa != null && $Object.hasOwnProperty.call(message, "isa") && message.isa !== "")
                writer.uint32(34).string(message.isa);
            if (message.threads != null && $Object.hasOwnProperty.call(message, "threads") && message.threads !== 0)
                writer.uint32(40).uint32(message.threads);
            if (message.ramBytes != null && $Object.hasOwnProperty.call(message, "ramBytes") && (typeof message.ramBytes === "object" ? message.ramBytes.low || message.ramBytes.high : message.ramBytes !== 0))
                writer.uint32(48).uint64(message.ramBytes);
            if (message.diskBytes != null && $Object.hasOwnProperty.call(message, "diskBytes") && (typeof message.diskBytes === "object" ? message.diskBytes.low || message.diskBytes.high : message.diskBytes !== 0))
                writer.uint32(56).uint64(message.diskBytes);
            if (message.bytesPerSecond != null && $Object.hasOwnProperty.call(message, "bytesPerSecond") && !$Object.is(message.bytesPerSecond, 0))
                writer.uint32(65).double(message.bytesPerSecond);
            if (message.multiplicationsPerSecond != null && $Object.hasOwnProperty.call(message, "multiplicationsPerSecond") && !$Object.is(message.multiplicationsPerSecond, 0))
                writer.uint32(73).double(message.multiplicationsPerSecond);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Hello.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Hello();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.version = value;
                        else
                            delete message.version;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.contract = value;
                        else
                            delete message.contract;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.name = value;
                        else
                            delete message.name;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.isa = value;
                        else
                            delete message.isa;
                        continue;
                    }
                case 5: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.threads = value;
                        else
                            delete message.threads;
                        continue;
                    }
                case 6: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.ramBytes = value;
                        else
                            delete message.ramBytes;
                        continue;
                    }
                case 7: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.diskBytes = value;
                        else
                            delete message.diskBytes;
                        continue;
                    }
                case 8: {
                        if (wireType !== 1)
                            break;
                        if (!$Object.is(value = reader.double(), 0))
                            message.bytesPerSecond = value;
                        else
                            delete message.bytesPerSecond;
                        continue;
                    }
                case 9: {
                        if (wireType !== 1)
                            break;
                        if (!$Object.is(value = reader.double(), 0))
                            message.multiplicationsPerSecond = value;
                        else
                            delete message.multiplicationsPerSecond;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Hello;
    })();

    quantd.RunOpen = (function() {

        const RunOpen = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        RunOpen.prototype.run = $util.newBuffer([]);

        RunOpen.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        RunOpen.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.RunOpen();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return RunOpen;
    })();

    quantd.SourcePiece = (function() {

        const SourcePiece = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        SourcePiece.prototype.file = "";
        SourcePiece.prototype.fileDigest = $util.newBuffer([]);
        SourcePiece.prototype.offset = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        SourcePiece.prototype.bytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        SourcePiece.prototype.leaves = $util.newBuffer([]);

        SourcePiece.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.file != null && $Object.hasOwnProperty.call(message, "file") && message.file !== "")
                writer.uint32(10).string(message.file);
            if (message.fileDigest != null && $Object.hasOwnProperty.call(message, "fileDigest") && message.fileDigest.length)
                writer.uint32(18).bytes(message.fileDigest);
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset") && (typeof message.offset === "object" ? message.offset.low || message.offset.high : message.offset !== 0))
                writer.uint32(24).uint64(message.offset);
            if (message.bytes != null && $Object.hasOwnProperty.call(message, "bytes") && (typeof message.bytes === "object" ? message.bytes.low || message.bytes.high : message.bytes !== 0))
                writer.uint32(32).uint64(message.bytes);
            if (message.leaves != null && $Object.hasOwnProperty.call(message, "leaves") && message.leaves.length)
                writer.uint32(42).bytes(message.leaves);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        SourcePiece.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.SourcePiece();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.file = value;
                        else
                            delete message.file;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.fileDigest = value;
                        else
                            delete message.fileDigest;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.offset = value;
                        else
                            delete message.offset;
                        continue;
                    }
                case 4: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.bytes = value;
                        else
                            delete message.bytes;
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.leaves = value;
                        else
                            delete message.leaves;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return SourcePiece;
    })();

    quantd.LeasedRun = (function() {

        const LeasedRun = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        LeasedRun.prototype.unit = $util.newBuffer([]);
        LeasedRun.prototype.type = "";
        LeasedRun.prototype.bytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;

        LeasedRun.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.unit != null && $Object.hasOwnProperty.call(message, "unit") && message.unit.length)
                writer.uint32(10).bytes(message.unit);
            if (message.type != null && $Object.hasOwnProperty.call(message, "type") && message.type !== "")
                writer.uint32(18).string(message.type);
            if (message.bytes != null && $Object.hasOwnProperty.call(message, "bytes") && (typeof message.bytes === "object" ? message.bytes.low || message.bytes.high : message.bytes !== 0))
                writer.uint32(24).uint64(message.bytes);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        LeasedRun.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.LeasedRun();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.unit = value;
                        else
                            delete message.unit;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.type = value;
                        else
                            delete message.type;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.bytes = value;
                        else
                            delete message.bytes;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return LeasedRun;
    })();

    quantd.SourceOrigin = (function() {

        const SourceOrigin = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        SourceOrigin.prototype.hubUrl = "";
        SourceOrigin.prototype.repository = "";
        SourceOrigin.prototype.commit = $util.newBuffer([]);

        SourceOrigin.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.hubUrl != null && $Object.hasOwnProperty.call(message, "hubUrl") && message.hubUrl !== "")
                writer.uint32(10).string(message.hubUrl);
            if (message.repository != null && $Object.hasOwnProperty.call(message, "repository") && message.repository !== "")
                writer.uint32(18).string(message.repository);
            if (message.commit != null && $Object.hasOwnProperty.call(message, "commit") && message.commit.length)
                writer.uint32(26).bytes(message.commit);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        SourceOrigin.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.SourceOrigin();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.hubUrl = value;
                        else
                            delete message.hubUrl;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.repository = value;
                        else
                            delete message.repository;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.commit = value;
                        else
                            delete message.commit;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return SourceOrigin;
    })();

    quantd.Lease = (function() {

        const Lease = function (properties) {
            this.pieces = [];
            this.sources = [];
            this.runs = [];
            this.assemblers = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Lease.prototype.run = $util.newBuffer([]);
        Lease.prototype.task = 0;
        Lease.prototype.tensor = "";
        Lease.prototype.element = "";
        Lease.prototype.shape = $util.newBuffer([]);
        Lease.prototype.rowStart = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        Lease.prototype.rows = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        Lease.prototype.pieces = $util.emptyArray;
        Lease.prototype.sources = $util.emptyArray;
        Lease.prototype.runs = $util.emptyArray;
        Lease.prototype.importance = $util.newBuffer([]);
        Lease.prototype.origin = null;
        Lease.prototype.assemblers = $util.emptyArray;

        Lease.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.task != null && $Object.hasOwnProperty.call(message, "task") && message.task !== 0)
                writer.uint32(16).uint32(message.task);
            if (message.tensor != null && $Object.hasOwnProperty.call(message, "tensor") && message.tensor !== "")
                writer.uint32(26).string(message.tensor);
            if (message.element != null && $Object.hasOwnProperty.call(message, "element") && message.element !== "")
                writer.uint32(34).string(message.element);
            if (message.shape != null && $Object.hasOwnProperty.call(message, "shape") && message.shape.length)
                writer.uint32(42).bytes(message.shape);
            if (message.rowStart != null && $Object.hasOwnProperty.call(message, "rowStart") && (typeof message.rowStart === "object" ? message.rowStart.low || message.rowStart.high : message.rowStart !== 0))
                writer.uint32(48).uint64(message.rowStart);
            if (message.rows != null && $Object.hasOwnProperty.call(message, "rows") && (typeof message.rows === "object" ? message.rows.low || message.rows.high : message.rows !== 0))
                writer.uint32(56).uint64(message.rows);
            if (message.pieces != null && message.pieces.length)
                for (let i = 0; i < message.pieces.length; ++i)
                    $root.quantd.SourcePiece.encode(message.pieces[i], writer.uint32(66).fork(), _depth + 1).ldelim();
            if (message.sources != null && message.sources.length)
                for (let i = 0; i < message.sources.length; ++i)
                    writer.uint32(74).string(message.sources[i]);
            if (message.runs != null && message.runs.length)
                for (let i = 0; i < message.runs.length; ++i)
                    $root.quantd.LeasedRun.encode(message.runs[i], writer.uint32(82).fork(), _depth + 1).ldelim();
            if (message.importance != null && $Object.hasOwnProperty.call(message, "importance") && message.importance.length)
                writer.uint32(90).bytes(message.importance);
            if (message.origin != null && $Object.hasOwnProperty.call(message, "origin"))
                $root.quantd.SourceOrigin.encode(message.origin, writer.uint32(98).fork(), _depth + 1).ldelim();
            if (message.assemblers != null && message.assemblers.length)
                for (let i = 0; i < message.assemblers.length; ++i)
                    writer.uint32(106).string(message.assemblers[i]);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Lease.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Lease();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.task = value;
                        else
                            delete message.task;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.tensor = value;
                        else
                            delete message.tensor;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.element = value;
                        else
                            delete message.element;
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.shape = value;
                        else
                            delete message.shape;
                        continue;
                    }
                case 6: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.rowStart = value;
                        else
                            delete message.rowStart;
                        continue;
                    }
                case 7: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.rows = value;
                        else
                            delete message.rows;
                        continue;
                    }
                case 8: {
                        if (wireType !== 2)
                            break;
                        if (!(message.pieces && message.pieces.length))
                            message.pieces = [];
                        message.pieces.push($root.quantd.SourcePiece.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                case 9: {
                        if (wireType !== 2)
                            break;
                        if (!(message.sources && message.sources.length))
                            message.sources = [];
                        message.sources.push(reader.stringVerify());
                        continue;
                    }
                case 10: {
                        if (wireType !== 2)
                            break;
                        if (!(message.runs && message.runs.length))
                            message.runs = [];
                        message.runs.push($root.quantd.LeasedRun.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                case 11: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.importance = value;
                        else
                            delete message.importance;
                        continue;
                    }
                case 12: {
                        if (wireType !== 2)
                            break;
                        message.origin = $root.quantd.SourceOrigin.decode(reader, reader.size(), $undefined, _depth + 1, message.origin);
                        continue;
                    }
                case 13: {
                        if (wireType !== 2)
                            break;
                        if (!(message.assemblers && message.assemblers.length))
                            message.assemblers = [];
                        message.assemblers.push(reader.stringVerify());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Lease;
    })();

    quantd.Working = (function() {

        const Working = function (properties) {
            this.tasks = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Working.prototype.run = $util.newBuffer([]);
        Working.prototype.tasks = $util.emptyArray;

        Working.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.tasks != null && message.tasks.length)
                writer.uint32(18).uint32s(message.tasks);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Working.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Working();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType === 2) {
                            if (!(message.tasks && message.tasks.length))
                                message.tasks = [];
                            reader.uint32s(message.tasks);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.tasks && message.tasks.length))
                            message.tasks = [];
                        message.tasks.push(reader.uint32());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Working;
    })();

    quantd.MadeUnit = (function() {

        const MadeUnit = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        MadeUnit.prototype.unit = $util.newBuffer([]);
        MadeUnit.prototype.digest = $util.newBuffer([]);

        MadeUnit.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.unit != null && $Object.hasOwnProperty.call(message, "unit") && message.unit.length)
                writer.uint32(10).bytes(message.unit);
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(18).bytes(message.digest);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        MadeUnit.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.MadeUnit();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.unit = value;
                        else
                            delete message.unit;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return MadeUnit;
    })();

    quantd.Fault = (function() {

        const Fault = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Fault.prototype.code = "";
        Fault.prototype.exit = 0;
        Fault.prototype.what = "";
        Fault.prototype.hint = "";
        Fault.prototype.file = null;
        Fault.prototype.tensor = null;
        Fault.prototype.row = null;
        Fault.prototype.byte = null;
        Fault.prototype.longByte = null;
        Fault.prototype.key = null;
        Fault.prototype.why = null;

        let $oneOfFields;

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_file", {
            get: $util.oneOfGetter($oneOfFields = ["file"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_tensor", {
            get: $util.oneOfGetter($oneOfFields = ["tensor"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_row", {
            get: $util.oneOfGetter($oneOfFields = ["row"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_byte", {
            get: $util.oneOfGetter($oneOfFields = ["byte"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_longByte", {
            get: $util.oneOfGetter($oneOfFields = ["longByte"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_key", {
            get: $util.oneOfGetter($oneOfFields = ["key"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(Fault.prototype, "_why", {
            get: $util.oneOfGetter($oneOfFields = ["why"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        Fault.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.code != null && $Object.hasOwnProperty.call(message, "code") && message.code !== "")
                writer.uint32(10).string(message.code);
            if (message.exit != null && $Object.hasOwnProperty.call(message, "exit") && message.exit !== 0)
                writer.uint32(16).uint32(message.exit);
            if (message.what != null && $Object.hasOwnProperty.call(message, "what") && message.what !== "")
                writer.uint32(26).string(message.what);
            if (message.hint != null && $Object.hasOwnProperty.call(message, "hint") && message.hint !== "")
                writer.uint32(34).string(message.hint);
            if (message.file != null && $Object.hasOwnProperty.call(message, "file"))
                writer.uint32(42).string(message.file);
            if (message.tensor != null && $Object.hasOwnProperty.call(message, "tensor"))
                writer.uint32(50).string(message.tensor);
            if (message.row != null && $Object.hasOwnProperty.call(message, "row"))
                writer.uint32(56).uint64(message.row);
            if (message.byte != null && $Object.hasOwnProperty.call(message, "byte"))
                writer.uint32(64).uint64(message.byte);
            if (message.longByte != null && $Object.hasOwnProperty.call(message, "longByte"))
                writer.uint32(74).string(message.longByte);
            if (message.key != null && $Object.hasOwnProperty.call(message, "key"))
                writer.uint32(82).string(message.key);
            if (message.why != null && $Object.hasOwnProperty.call(message, "why"))
                writer.uint32(90).string(message.why);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Fault.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Fault();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.code = value;
                        else
                            delete message.code;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.exit = value;
                        else
                            delete message.exit;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.what = value;
                        else
                            delete message.what;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.hint = value;
                        else
                            delete message.hint;
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        message.file = reader.stringVerify();
                        message._file = "file";
                        continue;
                    }
                case 6: {
                        if (wireType !== 2)
                            break;
                        message.tensor = reader.stringVerify();
                        message._tensor = "tensor";
                        continue;
                    }
                case 7: {
                        if (wireType !== 0)
                            break;
                        message.row = reader.uint64();
                        message._row = "row";
                        continue;
                    }
                case 8: {
                        if (wireType !== 0)
                            break;
                        message.byte = reader.uint64();
                        message._byte = "byte";
                        continue;
                    }
                case 9: {
                        if (wireType !== 2)
                            break;
                        message.longByte = reader.stringVerify();
                        message._longByte = "longByte";
                        continue;
                    }
                case 10: {
                        if (wireType !== 2)
                            break;
                        message.key = reader.stringVerify();
                        message._key = "key";
                        continue;
                    }
                case 11: {
                        if (wireType !== 2)
                            break;
                        message.why = reader.stringVerify();
                        message._why = "why";
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Fault;
    })();

    quantd.LeaseAnswer = (function() {

        const LeaseAnswer = function (properties) {
            this.made = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        LeaseAnswer.prototype.run = $util.newBuffer([]);
        LeaseAnswer.prototype.task = 0;
        LeaseAnswer.prototype.made = $util.emptyArray;
        LeaseAnswer.prototype.fault = null;
        LeaseAnswer.prototype.declined = null;
        LeaseAnswer.prototype.signature = $util.newBuffer([]);
        LeaseAnswer.prototype.leaves = $util.newBuffer([]);
        LeaseAnswer.prototype.detour = null;

        let $oneOfFields;

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(LeaseAnswer.prototype, "_declined", {
            get: $util.oneOfGetter($oneOfFields = ["declined"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(LeaseAnswer.prototype, "_detour", {
            get: $util.oneOfGetter($oneOfFields = ["detour"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        LeaseAnswer.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.task != null && $Object.hasOwnProperty.call(message, "task") && message.task !== 0)
                writer.uint32(16).uint32(message.task);
            if (message.made != null && message.made.length)
                for (let i = 0; i < message.made.length; ++i)
                    $root.quantd.MadeUnit.encode(message.made[i], writer.uint32(26).fork(), _depth + 1).ldelim();
            if (message.fault != null && $Object.hasOwnProperty.call(message, "fault"))
                $root.quantd.Fault.encode(message.fault, writer.uint32(34).fork(), _depth + 1).ldelim();
            if (message.declined != null && $Object.hasOwnProperty.call(message, "declined"))
                writer.uint32(42).string(message.declined);
            if (message.signature != null && $Object.hasOwnProperty.call(message, "signature") && message.signature.length)
                writer.uint32(50).bytes(message.signature);
            if (message.leaves != null && $Object.hasOwnProperty.call(message, "leaves") && message.leaves.length)
                writer.uint32(58).bytes(message.leaves);
            if (message.detour != null && $Object.hasOwnProperty.call(message, "detour"))
                writer.uint32(66).string(message.detour);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        LeaseAnswer.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.LeaseAnswer();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.task = value;
                        else
                            delete message.task;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if (!(message.made && message.made.length))
                            message.made = [];
                        message.made.push($root.quantd.MadeUnit.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        message.fault = $root.quantd.Fault.decode(reader, reader.size(), $undefined, _depth + 1, message.fault);
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        message.declined = reader.stringVerify();
                        message._declined = "declined";
                        continue;
                    }
                case 6: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.signature = value;
                        else
                            delete message.signature;
                        continue;
                    }
                case 7: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.leaves = value;
                        else
                            delete message.leaves;
                        continue;
                    }
                case 8: {
                        if (wireType !== 2)
                            break;
                        message.detour = reader.stringVerify();
                        message._detour = "detour";
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return LeaseAnswer;
    })();

    quantd.Kept = (function() {

        const Kept = function (properties) {
            this.tasks = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Kept.prototype.run = $util.newBuffer([]);
        Kept.prototype.tasks = $util.emptyArray;

        Kept.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.tasks != null && message.tasks.length)
                writer.uint32(18).uint32s(message.tasks);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Kept.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Kept();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType === 2) {
                            if (!(message.tasks && message.tasks.length))
                                message.tasks = [];
                            reader.uint32s(message.tasks);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.tasks && message.tasks.length))
                            message.tasks = [];
                        message.tasks.push(reader.uint32());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Kept;
    })();

    quantd.PiecesVoid = (function() {

        const PiecesVoid = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        PiecesVoid.prototype.run = $util.newBuffer([]);
        PiecesVoid.prototype.fileDigest = $util.newBuffer([]);
        PiecesVoid.prototype.offsets = $util.newBuffer([]);
        PiecesVoid.prototype.sizes = $util.newBuffer([]);

        PiecesVoid.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.fileDigest != null && $Object.hasOwnProperty.call(message, "fileDigest") && message.fileDigest.length)
                writer.uint32(18).bytes(message.fileDigest);
            if (message.offsets != null && $Object.hasOwnProperty.call(message, "offsets") && message.offsets.length)
                writer.uint32(26).bytes(message.offsets);
            if (message.sizes != null && $Object.hasOwnProperty.call(message, "sizes") && message.sizes.length)
                writer.uint32(34).bytes(message.sizes);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        PiecesVoid.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.PiecesVoid();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.fileDigest = value;
                        else
                            delete message.fileDigest;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.offsets = value;
                        else
                            delete message.offsets;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.sizes = value;
                        else
                            delete message.sizes;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return PiecesVoid;
    })();

    quantd.RunClose = (function() {

        const RunClose = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        RunClose.prototype.run = $util.newBuffer([]);
        RunClose.prototype.sealed = false;

        RunClose.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.sealed != null && $Object.hasOwnProperty.call(message, "sealed") && message.sealed !== false)
                writer.uint32(16).bool(message.sealed);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        RunClose.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.RunClose();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.bool())
                            message.sealed = value;
                        else
                            delete message.sealed;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return RunClose;
    })();

    quantd.MemberRecords = (function() {

        const MemberRecords = function (properties) {
            this.records = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        MemberRecords.prototype.records = $util.emptyArray;

        MemberRecords.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.records != null && message.records.length)
                for (let i = 0; i < message.records.length; ++i)
                    writer.uint32(10).bytes(message.records[i]);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        MemberRecords.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.MemberRecords();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if (!(message.records && message.records.length))
                            message.records = [];
                        message.records.push(reader.bytes());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return MemberRecords;
    })();

    quantd.KeyChange = (function() {

        const KeyChange = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        KeyChange.prototype.epoch = 0;
        KeyChange.prototype.networkKey = $util.newBuffer([]);

        KeyChange.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.epoch != null && $Object.hasOwnProperty.call(message, "epoch") && message.epoch !== 0)
                writer.uint32(8).uint32(message.epoch);
            if (message.networkKey != null && $Object.hasOwnProperty.call(message, "networkKey") && message.networkKey.length)
                writer.uint32(18).bytes(message.networkKey);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        KeyChange.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.KeyChange();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.epoch = value;
                        else
                            delete message.epoch;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.networkKey = value;
                        else
                            delete message.networkKey;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return KeyChange;
    })();

    quantd.Meet = (function() {

        const Meet = function (properties) {
            this.addresses = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Meet.prototype.peer = "";
        Meet.prototype.addresses = $util.emptyArray;

        Meet.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.peer != null && $Object.hasOwnProperty.call(message, "peer") && message.peer !== "")
                writer.uint32(10).string(message.peer);
            if (message.addresses != null && message.addresses.length)
                for (let i = 0; i < message.addresses.length; ++i)
                    writer.uint32(18).string(message.addresses[i]);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Meet.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Meet();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.peer = value;
                        else
                            delete message.peer;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if (!(message.addresses && message.addresses.length))
                            message.addresses = [];
                        message.addresses.push(reader.stringVerify());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Meet;
    })();

    quantd.StageLease = (function() {

        const StageLease = function (properties) {
            this.chunks = [];
            this.collect = [];
            this.inputs = [];
            this.leftOut = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        StageLease.prototype.run = $util.newBuffer([]);
        StageLease.prototype.lease = 0;
        StageLease.prototype.from = 0;
        StageLease.prototype.to = 0;
        StageLease.prototype.group = 0;
        StageLease.prototype.chunks = $util.emptyArray;
        StageLease.prototype.collect = $util.emptyArray;
        StageLease.prototype.inputs = $util.emptyArray;
        StageLease.prototype.description = $util.newBuffer([]);
        StageLease.prototype.descriptionBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        StageLease.prototype.leavesState = false;
        StageLease.prototype.leftOut = $util.emptyArray;
        StageLease.prototype.waveChunks = 0;
        StageLease.prototype.origin = null;

        StageLease.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.lease != null && $Object.hasOwnProperty.call(message, "lease") && message.lease !== 0)
                writer.uint32(16).uint32(message.lease);
            if (message.from != null && $Object.hasOwnProperty.call(message, "from") && message.from !== 0)
                writer.uint32(24).uint32(message.from);
            if (message.to != null && $Object.hasOwnProperty.call(message, "to") && message.to !== 0)
                writer.uint32(32).uint32(message.to);
            if (message.group != null && $Object.hasOwnProperty.call(message, "group") && message.group !== 0)
                writer.uint32(40).uint32(message.group);
            if (message.chunks != null && message.chunks.length)
                writer.uint32(50).uint32s(message.chunks);
            if (message.collect != null && message.collect.length)
                writer.uint32(58).uint32s(message.collect);
            if (message.inputs != null && message.inputs.length)
                for (let i = 0; i < message.inputs.length; ++i)
                    writer.uint32(66).string(message.inputs[i]);
            if (message.description != null && $Object.hasOwnProperty.call(message, "description") && message.description.length)
                writer.uint32(74).bytes(message.description);
            if (message.descriptionBytes != null && $Object.hasOwnProperty.call(message, "descriptionBytes") && (typeof message.descriptionBytes === "object" ? message.descriptionBytes.low || message.descriptionBytes.high : message.descriptionBytes !== 0))
                writer.uint32(80).uint64(message.descriptionBytes);
            if (message.leavesState != null && $Object.hasOwnProperty.call(message, "leavesState") && message.leavesState !== false)
                writer.uint32(88).bool(message.leavesState);
            if (message.leftOut != null && message.leftOut.length)
                writer.uint32(98).uint32s(message.leftOut);
            if (message.waveChunks != null && $Object.hasOwnProperty.call(message, "waveChunks") && message.waveChunks !== 0)
                writer.uint32(104).uint32(message.waveChunks);
            if (message.origin != null && $Object.hasOwnProperty.call(message, "origin"))
                $root.quantd.SourceOrigin.encode(message.origin, writer.uint32(114).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        StageLease.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.StageLease();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.lease = value;
                        else
                            delete message.lease;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.from = value;
                        else
                            delete message.from;
                        continue;
                    }
                case 4: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.to = value;
                        else
                            delete message.to;
                        continue;
                    }
                case 5: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.group = value;
                        else
                            delete message.group;
                        continue;
                    }
                case 6: {
                        if (wireType === 2) {
                            if (!(message.chunks && message.chunks.length))
                                message.chunks = [];
                            reader.uint32s(message.chunks);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.chunks && message.chunks.length))
                            message.chunks = [];
                        message.chunks.push(reader.uint32());
                        continue;
                    }
                case 7: {
                        if (wireType === 2) {
                            if (!(message.collect && message.collect.length))
                                message.collect = [];
                            reader.uint32s(message.collect);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.collect && message.collect.length))
                            message.collect = [];
                        message.collect.push(reader.uint32());
                        continue;
                    }
                case 8: {
                        if (wireType !== 2)
                            break;
                        if (!(message.inputs && message.inputs.length))
                            message.inputs = [];
                        message.inputs.push(reader.stringVerify());
                        continue;
                    }
                case 9: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.description = value;
                        else
                            delete message.description;
                        continue;
                    }
                case 10: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.descriptionBytes = value;
                        else
                            delete message.descriptionBytes;
                        continue;
                    }
                case 11: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.bool())
                            message.leavesState = value;
                        else
                            delete message.leavesState;
                        continue;
                    }
                case 12: {
                        if (wireType === 2) {
                            if (!(message.leftOut && message.leftOut.length))
                                message.leftOut = [];
                            reader.uint32s(message.leftOut);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.leftOut && message.leftOut.length))
                            message.leftOut = [];
                        message.leftOut.push(reader.uint32());
                        continue;
                    }
                case 13: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.waveChunks = value;
                        else
                            delete message.waveChunks;
                        continue;
                    }
                case 14: {
                        if (wireType !== 2)
                            break;
                        message.origin = $root.quantd.SourceOrigin.decode(reader, reader.size(), $undefined, _depth + 1, message.origin);
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return StageLease;
    })();

    quantd.StageWorking = (function() {

        const StageWorking = function (properties) {
            this.leases = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        StageWorking.prototype.run = $util.newBuffer([]);
        StageWorking.prototype.leases = $util.emptyArray;
        StageWorking.prototype.passed = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        StageWorking.prototype.begun = 0;

        StageWorking.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.leases != null && message.leases.length)
                writer.uint32(18).uint32s(message.leases);
            if (message.passed != null && $Object.hasOwnProperty.call(message, "passed") && (typeof message.passed === "object" ? message.passed.low || message.passed.high : message.passed !== 0))
                writer.uint32(24).uint64(message.passed);
            if (message.begun != null && $Object.hasOwnProperty.call(message, "begun") && message.begun !== 0)
                writer.uint32(32).uint32(message.begun);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        StageWorking.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.StageWorking();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType === 2) {
                            if (!(message.leases && message.leases.length))
                                message.leases = [];
                            reader.uint32s(message.leases);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.leases && message.leases.length))
                            message.leases = [];
                        message.leases.push(reader.uint32());
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.passed = value;
                        else
                            delete message.passed;
                        continue;
                    }
                case 4: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.begun = value;
                        else
                            delete message.begun;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return StageWorking;
    })();

    quantd.StageAnswer = (function() {

        const StageAnswer = function (properties) {
            this.bad = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        StageAnswer.prototype.run = $util.newBuffer([]);
        StageAnswer.prototype.lease = 0;
        StageAnswer.prototype.bad = $util.emptyArray;
        StageAnswer.prototype.fault = null;
        StageAnswer.prototype.declined = null;
        StageAnswer.prototype.detour = null;
        StageAnswer.prototype.computeMs = 0;

        let $oneOfFields;

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(StageAnswer.prototype, "_declined", {
            get: $util.oneOfGetter($oneOfFields = ["declined"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        // Virtual OneOf for proto3 optional field
        $Object.defineProperty(StageAnswer.prototype, "_detour", {
            get: $util.oneOfGetter($oneOfFields = ["detour"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        StageAnswer.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.lease != null && $Object.hasOwnProperty.call(message, "lease") && message.lease !== 0)
                writer.uint32(16).uint32(message.lease);
            if (message.bad != null && message.bad.length)
                writer.uint32(26).uint32s(message.bad);
            if (message.fault != null && $Object.hasOwnProperty.call(message, "fault"))
                $root.quantd.Fault.encode(message.fault, writer.uint32(34).fork(), _depth + 1).ldelim();
            if (message.declined != null && $Object.hasOwnProperty.call(message, "declined"))
                writer.uint32(42).string(message.declined);
            if (message.detour != null && $Object.hasOwnProperty.call(message, "detour"))
                writer.uint32(50).string(message.detour);
            if (message.computeMs != null && $Object.hasOwnProperty.call(message, "computeMs") && message.computeMs !== 0)
                writer.uint32(56).uint32(message.computeMs);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        StageAnswer.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.StageAnswer();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.lease = value;
                        else
                            delete message.lease;
                        continue;
                    }
                case 3: {
                        if (wireType === 2) {
                            if (!(message.bad && message.bad.length))
                                message.bad = [];
                            reader.uint32s(message.bad);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.bad && message.bad.length))
                            message.bad = [];
                        message.bad.push(reader.uint32());
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        message.fault = $root.quantd.Fault.decode(reader, reader.size(), $undefined, _depth + 1, message.fault);
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        message.declined = reader.stringVerify();
                        message._declined = "declined";
                        continue;
                    }
                case 6: {
                        if (wireType !== 2)
                            break;
                        message.detour = reader.stringVerify();
                        message._detour = "detour";
                        continue;
                    }
                case 7: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.computeMs = value;
                        else
                            delete message.computeMs;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return StageAnswer;
    })();

    quantd.StageKept = (function() {

        const StageKept = function (properties) {
            this.leases = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        StageKept.prototype.run = $util.newBuffer([]);
        StageKept.prototype.leases = $util.emptyArray;

        StageKept.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.leases != null && message.leases.length)
                writer.uint32(18).uint32s(message.leases);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        StageKept.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.StageKept();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType === 2) {
                            if (!(message.leases && message.leases.length))
                                message.leases = [];
                            reader.uint32s(message.leases);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.leases && message.leases.length))
                            message.leases = [];
                        message.leases.push(reader.uint32());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return StageKept;
    })();

    quantd.StateRelease = (function() {

        const StateRelease = function (properties) {
            this.leases = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        StateRelease.prototype.run = $util.newBuffer([]);
        StateRelease.prototype.leases = $util.emptyArray;

        StateRelease.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.leases != null && message.leases.length)
                writer.uint32(18).uint32s(message.leases);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        StateRelease.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.StateRelease();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType === 2) {
                            if (!(message.leases && message.leases.length))
                                message.leases = [];
                            reader.uint32s(message.leases);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.leases && message.leases.length))
                            message.leases = [];
                        message.leases.push(reader.uint32());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return StateRelease;
    })();

    quantd.HeldSums = (function() {

        const HeldSums = function (properties) {
            this.groups = [];
            this.leftOut = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        HeldSums.prototype.layer = 0;
        HeldSums.prototype.groups = $util.emptyArray;
        HeldSums.prototype.leftOut = $util.emptyArray;
        HeldSums.prototype.digest = $util.newBuffer([]);
        HeldSums.prototype.bytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;

        HeldSums.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.layer != null && $Object.hasOwnProperty.call(message, "layer") && message.layer !== 0)
                writer.uint32(8).uint32(message.layer);
            if (message.groups != null && message.groups.length)
                writer.uint32(18).uint32s(message.groups);
            if (message.leftOut != null && message.leftOut.length)
                writer.uint32(26).uint32s(message.leftOut);
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(34).bytes(message.digest);
            if (message.bytes != null && $Object.hasOwnProperty.call(message, "bytes") && (typeof message.bytes === "object" ? message.bytes.low || message.bytes.high : message.bytes !== 0))
                writer.uint32(40).uint64(message.bytes);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        HeldSums.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.HeldSums();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.layer = value;
                        else
                            delete message.layer;
                        continue;
                    }
                case 2: {
                        if (wireType === 2) {
                            if (!(message.groups && message.groups.length))
                                message.groups = [];
                            reader.uint32s(message.groups);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.groups && message.groups.length))
                            message.groups = [];
                        message.groups.push(reader.uint32());
                        continue;
                    }
                case 3: {
                        if (wireType === 2) {
                            if (!(message.leftOut && message.leftOut.length))
                                message.leftOut = [];
                            reader.uint32s(message.leftOut);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.leftOut && message.leftOut.length))
                            message.leftOut = [];
                        message.leftOut.push(reader.uint32());
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                case 5: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.bytes = value;
                        else
                            delete message.bytes;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return HeldSums;
    })();

    quantd.SumsHeld = (function() {

        const SumsHeld = function (properties) {
            this.sums = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        SumsHeld.prototype.run = $util.newBuffer([]);
        SumsHeld.prototype.sums = $util.emptyArray;

        SumsHeld.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.sums != null && message.sums.length)
                for (let i = 0; i < message.sums.length; ++i)
                    $root.quantd.HeldSums.encode(message.sums[i], writer.uint32(18).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        SumsHeld.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.SumsHeld();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if (!(message.sums && message.sums.length))
                            message.sums = [];
                        message.sums.push($root.quantd.HeldSums.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return SumsHeld;
    })();

    quantd.SumsKept = (function() {

        const SumsKept = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        SumsKept.prototype.run = $util.newBuffer([]);
        SumsKept.prototype.digests = $util.newBuffer([]);

        SumsKept.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.digests != null && $Object.hasOwnProperty.call(message, "digests") && message.digests.length)
                writer.uint32(18).bytes(message.digests);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        SumsKept.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.SumsKept();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digests = value;
                        else
                            delete message.digests;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return SumsKept;
    })();

    quantd.Assemble = (function() {

        const Assemble = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        Assemble.prototype.run = $util.newBuffer([]);
        Assemble.prototype.output = 0;
        Assemble.prototype.opening = 0;
        Assemble.prototype.release = $util.newBuffer([]);
        Assemble.prototype.file = "";
        Assemble.prototype.id = $util.newBuffer([]);
        Assemble.prototype.fileBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        Assemble.prototype.headerBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        Assemble.prototype.runCount = 0;
        Assemble.prototype.map = $util.newBuffer([]);

        Assemble.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.output != null && $Object.hasOwnProperty.call(message, "output") && message.output !== 0)
                writer.uint32(16).uint32(message.output);
            if (message.opening != null && $Object.hasOwnProperty.call(message, "opening") && message.opening !== 0)
                writer.uint32(24).uint32(message.opening);
            if (message.release != null && $Object.hasOwnProperty.call(message, "release") && message.release.length)
                writer.uint32(34).bytes(message.release);
            if (message.file != null && $Object.hasOwnProperty.call(message, "file") && message.file !== "")
                writer.uint32(42).string(message.file);
            if (message.id != null && $Object.hasOwnProperty.call(message, "id") && message.id.length)
                writer.uint32(50).bytes(message.id);
            if (message.fileBytes != null && $Object.hasOwnProperty.call(message, "fileBytes") && (typeof message.fileBytes === "object" ? message.fileBytes.low || message.fileBytes.high : message.fileBytes !== 0))
                writer.uint32(56).uint64(message.fileBytes);
            if (message.headerBytes != null && $Object.hasOwnProperty.call(message, "headerBytes") && (typeof message.headerBytes === "object" ? message.headerBytes.low || message.headerBytes.high : message.headerBytes !== 0))
                writer.uint32(64).uint64(message.headerBytes);
            if (message.runCount != null && $Object.hasOwnProperty.call(message, "runCount") && message.runCount !== 0)
                writer.uint32(72).uint32(message.runCount);
            if (message.map != null && $Object.hasOwnProperty.call(message, "map") && message.map.length)
                writer.uint32(82).bytes(message.map);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        Assemble.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.Assemble();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.output = value;
                        else
                            delete message.output;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.opening = value;
                        else
                            delete message.opening;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.release = value;
                        else
                            delete message.release;
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.file = value;
                        else
                            delete message.file;
                        continue;
                    }
                case 6: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.id = value;
                        else
                            delete message.id;
                        continue;
                    }
                case 7: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.fileBytes = value;
                        else
                            delete message.fileBytes;
                        continue;
                    }
                case 8: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.headerBytes = value;
                        else
                            delete message.headerBytes;
                        continue;
                    }
                case 9: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.runCount = value;
                        else
                            delete message.runCount;
                        continue;
                    }
                case 10: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.map = value;
                        else
                            delete message.map;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return Assemble;
    })();

    quantd.AssemblyState = (function() {

        const AssemblyState = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        AssemblyState.prototype.run = $util.newBuffer([]);
        AssemblyState.prototype.output = 0;
        AssemblyState.prototype.opening = 0;
        AssemblyState.prototype.phase = 0;
        AssemblyState.prototype.stored = $util.newBuffer([]);
        AssemblyState.prototype.verifiedBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        AssemblyState.prototype.digest = $util.newBuffer([]);
        AssemblyState.prototype.path = "";
        AssemblyState.prototype.declined = "";

        AssemblyState.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.output != null && $Object.hasOwnProperty.call(message, "output") && message.output !== 0)
                writer.uint32(16).uint32(message.output);
            if (message.opening != null && $Object.hasOwnProperty.call(message, "opening") && message.opening !== 0)
                writer.uint32(24).uint32(message.opening);
            if (message.phase != null && $Object.hasOwnProperty.call(message, "phase") && message.phase !== 0)
                writer.uint32(32).int32(message.phase);
            if (message.stored != null && $Object.hasOwnProperty.call(message, "stored") && message.stored.length)
                writer.uint32(42).bytes(message.stored);
            if (message.verifiedBytes != null && $Object.hasOwnProperty.call(message, "verifiedBytes") && (typeof message.verifiedBytes === "object" ? message.verifiedBytes.low || message.verifiedBytes.high : message.verifiedBytes !== 0))
                writer.uint32(48).uint64(message.verifiedBytes);
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(58).bytes(message.digest);
            if (message.path != null && $Object.hasOwnProperty.call(message, "path") && message.path !== "")
                writer.uint32(66).string(message.path);
            if (message.declined != null && $Object.hasOwnProperty.call(message, "declined") && message.declined !== "")
                writer.uint32(74).string(message.declined);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        AssemblyState.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.AssemblyState();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.output = value;
                        else
                            delete message.output;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.opening = value;
                        else
                            delete message.opening;
                        continue;
                    }
                case 4: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.int32())
                            message.phase = value;
                        else
                            delete message.phase;
                        continue;
                    }
                case 5: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.stored = value;
                        else
                            delete message.stored;
                        continue;
                    }
                case 6: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.verifiedBytes = value;
                        else
                            delete message.verifiedBytes;
                        continue;
                    }
                case 7: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                case 8: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.path = value;
                        else
                            delete message.path;
                        continue;
                    }
                case 9: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.declined = value;
                        else
                            delete message.declined;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        AssemblyState.Phase = (function() {
            const valuesById = $Object.create(null), values = $Object.create(valuesById);
            values[valuesById[0] = "UNSPECIFIED"] = 0;
            values[valuesById[1] = "OPEN"] = 1;
            values[valuesById[2] = "LOST"] = 2;
            values[valuesById[3] = "VERIFYING"] = 3;
            values[valuesById[4] = "SEALED"] = 4;
            values[valuesById[5] = "ENDED"] = 5;
            values[valuesById[6] = "DECLINED"] = 6;
            return values;
        })();

        return AssemblyState;
    })();

    quantd.TakenRun = (function() {

        const TakenRun = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        TakenRun.prototype.run = 0;
        TakenRun.prototype.serial = 0;
        TakenRun.prototype.digest = $util.newBuffer([]);
        TakenRun.prototype.from = "";

        TakenRun.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run !== 0)
                writer.uint32(8).uint32(message.run);
            if (message.serial != null && $Object.hasOwnProperty.call(message, "serial") && message.serial !== 0)
                writer.uint32(16).uint32(message.serial);
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(26).bytes(message.digest);
            if (message.from != null && $Object.hasOwnProperty.call(message, "from") && message.from !== "")
                writer.uint32(34).string(message.from);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        TakenRun.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.TakenRun();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.serial = value;
                        else
                            delete message.serial;
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.stringVerify()).length)
                            message.from = value;
                        else
                            delete message.from;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return TakenRun;
    })();

    quantd.AssemblyTake = (function() {

        const AssemblyTake = function (properties) {
            this.takes = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        AssemblyTake.prototype.run = $util.newBuffer([]);
        AssemblyTake.prototype.output = 0;
        AssemblyTake.prototype.opening = 0;
        AssemblyTake.prototype.takes = $util.emptyArray;

        AssemblyTake.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.output != null && $Object.hasOwnProperty.call(message, "output") && message.output !== 0)
                writer.uint32(16).uint32(message.output);
            if (message.opening != null && $Object.hasOwnProperty.call(message, "opening") && message.opening !== 0)
                writer.uint32(24).uint32(message.opening);
            if (message.takes != null && message.takes.length)
                for (let i = 0; i < message.takes.length; ++i)
                    $root.quantd.TakenRun.encode(message.takes[i], writer.uint32(34).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        AssemblyTake.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.AssemblyTake();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.output = value;
                        else
                            delete message.output;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.opening = value;
                        else
                            delete message.opening;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if (!(message.takes && message.takes.length))
                            message.takes = [];
                        message.takes.push($root.quantd.TakenRun.decode(reader, reader.size(), $undefined, _depth + 1));
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return AssemblyTake;
    })();

    quantd.AssemblyTaken = (function() {

        const AssemblyTaken = function (properties) {
            this.written = [];
            this.stored = [];
            this.failed = [];
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        AssemblyTaken.prototype.run = $util.newBuffer([]);
        AssemblyTaken.prototype.output = 0;
        AssemblyTaken.prototype.opening = 0;
        AssemblyTaken.prototype.written = $util.emptyArray;
        AssemblyTaken.prototype.stored = $util.emptyArray;
        AssemblyTaken.prototype.failed = $util.emptyArray;

        AssemblyTaken.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.output != null && $Object.hasOwnProperty.call(message, "output") && message.output !== 0)
                writer.uint32(16).uint32(message.output);
            if (message.opening != null && $Object.hasOwnProperty.call(message, "opening") && message.opening !== 0)
                writer.uint32(24).uint32(message.opening);
            if (message.written != null && message.written.length)
                writer.uint32(34).uint32s(message.written);
            if (message.stored != null && message.stored.length)
                writer.uint32(42).uint32s(message.stored);
            if (message.failed != null && message.failed.length)
                writer.uint32(50).uint32s(message.failed);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        AssemblyTaken.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.AssemblyTaken();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.output = value;
                        else
                            delete message.output;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.opening = value;
                        else
                            delete message.opening;
                        continue;
                    }
                case 4: {
                        if (wireType === 2) {
                            if (!(message.written && message.written.length))
                                message.written = [];
                            reader.uint32s(message.written);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.written && message.written.length))
                            message.written = [];
                        message.written.push(reader.uint32());
                        continue;
                    }
                case 5: {
                        if (wireType === 2) {
                            if (!(message.stored && message.stored.length))
                                message.stored = [];
                            reader.uint32s(message.stored);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.stored && message.stored.length))
                            message.stored = [];
                        message.stored.push(reader.uint32());
                        continue;
                    }
                case 6: {
                        if (wireType === 2) {
                            if (!(message.failed && message.failed.length))
                                message.failed = [];
                            reader.uint32s(message.failed);
                            continue;
                        }
                        if (wireType !== 0)
                            break;
                        if (!(message.failed && message.failed.length))
                            message.failed = [];
                        message.failed.push(reader.uint32());
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return AssemblyTaken;
    })();

    quantd.AssemblySeal = (function() {

        const AssemblySeal = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        AssemblySeal.prototype.run = $util.newBuffer([]);
        AssemblySeal.prototype.output = 0;
        AssemblySeal.prototype.opening = 0;

        AssemblySeal.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.output != null && $Object.hasOwnProperty.call(message, "output") && message.output !== 0)
                writer.uint32(16).uint32(message.output);
            if (message.opening != null && $Object.hasOwnProperty.call(message, "opening") && message.opening !== 0)
                writer.uint32(24).uint32(message.opening);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        AssemblySeal.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.AssemblySeal();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.output = value;
                        else
                            delete message.output;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.opening = value;
                        else
                            delete message.opening;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return AssemblySeal;
    })();

    quantd.AssemblyEnd = (function() {

        const AssemblyEnd = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        AssemblyEnd.prototype.run = $util.newBuffer([]);
        AssemblyEnd.prototype.output = 0;
        AssemblyEnd.prototype.opening = 0;
        AssemblyEnd.prototype.erase = false;

        AssemblyEnd.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.output != null && $Object.hasOwnProperty.call(message, "output") && message.output !== 0)
                writer.uint32(16).uint32(message.output);
            if (message.opening != null && $Object.hasOwnProperty.call(message, "opening") && message.opening !== 0)
                writer.uint32(24).uint32(message.opening);
            if (message.erase != null && $Object.hasOwnProperty.call(message, "erase") && message.erase !== false)
                writer.uint32(32).bool(message.erase);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        AssemblyEnd.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.AssemblyEnd();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.output = value;
                        else
                            delete message.output;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.opening = value;
                        else
                            delete message.opening;
                        continue;
                    }
                case 4: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.bool())
                            message.erase = value;
                        else
                            delete message.erase;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return AssemblyEnd;
    })();

    quantd.BlockRequest = (function() {

        const BlockRequest = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        BlockRequest.prototype.run = $util.newBuffer([]);
        BlockRequest.prototype.source = null;
        BlockRequest.prototype.blockRun = null;
        BlockRequest.prototype.importance = null;
        BlockRequest.prototype.description = null;
        BlockRequest.prototype.layerLeaves = null;
        BlockRequest.prototype.state = null;
        BlockRequest.prototype.layerInputs = null;
        BlockRequest.prototype.sums = null;
        BlockRequest.prototype.assemblyMap = null;
        BlockRequest.prototype.output = null;
        BlockRequest.prototype.chain = null;
        BlockRequest.prototype.blobBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        BlockRequest.prototype.offset = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        BlockRequest.prototype.bytes = 0;
        BlockRequest.prototype.digestKnown = false;

        let $oneOfFields;

        $Object.defineProperty(BlockRequest.prototype, "blob", {
            get: $util.oneOfGetter($oneOfFields = ["source", "blockRun", "importance", "description", "layerLeaves", "state", "layerInputs", "sums", "assemblyMap", "output", "chain"]),
            set: $util.oneOfSetter($oneOfFields)
        });

        BlockRequest.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.run != null && $Object.hasOwnProperty.call(message, "run") && message.run.length)
                writer.uint32(10).bytes(message.run);
            if (message.source != null && $Object.hasOwnProperty.call(message, "source"))
                $root.quantd.SourceBlob.encode(message.source, writer.uint32(18).fork(), _depth + 1).ldelim();
            if (message.blockRun != null && $Object.hasOwnProperty.call(message, "blockRun"))
                $root.quantd.BlockRunBlob.encode(message.blockRun, writer.uint32(26).fork(), _depth + 1).ldelim();
            if (message.importance != null && $Object.hasOwnProperty.call(message, "importance"))
                $root.quantd.ImportanceBlob.encode(message.importance, writer.uint32(34).fork(), _depth + 1).ldelim();
            if (message.blobBytes != null && $Object.hasOwnProperty.call(message, "blobBytes") && (typeof message.blobBytes === "object" ? message.blobBytes.low || message.blobBytes.high : message.blobBytes !== 0))
                writer.uint32(40).uint64(message.blobBytes);
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset") && (typeof message.offset === "object" ? message.offset.low || message.offset.high : message.offset !== 0))
                writer.uint32(48).uint64(message.offset);
            if (message.bytes != null && $Object.hasOwnProperty.call(message, "bytes") && message.bytes !== 0)
                writer.uint32(56).uint32(message.bytes);
            if (message.digestKnown != null && $Object.hasOwnProperty.call(message, "digestKnown") && message.digestKnown !== false)
                writer.uint32(64).bool(message.digestKnown);
            if (message.description != null && $Object.hasOwnProperty.call(message, "description"))
                $root.quantd.DescriptionBlob.encode(message.description, writer.uint32(74).fork(), _depth + 1).ldelim();
            if (message.layerLeaves != null && $Object.hasOwnProperty.call(message, "layerLeaves"))
                $root.quantd.LayerLeavesBlob.encode(message.layerLeaves, writer.uint32(82).fork(), _depth + 1).ldelim();
            if (message.state != null && $Object.hasOwnProperty.call(message, "state"))
                $root.quantd.StateBlob.encode(message.state, writer.uint32(90).fork(), _depth + 1).ldelim();
            if (message.layerInputs != null && $Object.hasOwnProperty.call(message, "layerInputs"))
                $root.quantd.LayerInputsBlob.encode(message.layerInputs, writer.uint32(98).fork(), _depth + 1).ldelim();
            if (message.sums != null && $Object.hasOwnProperty.call(message, "sums"))
                $root.quantd.SumsBlob.encode(message.sums, writer.uint32(106).fork(), _depth + 1).ldelim();
            if (message.assemblyMap != null && $Object.hasOwnProperty.call(message, "assemblyMap"))
                $root.quantd.AssemblyMapBlob.encode(message.assemblyMap, writer.uint32(114).fork(), _depth + 1).ldelim();
            if (message.output != null && $Object.hasOwnProperty.call(message, "output"))
                $root.quantd.OutputBlob.encode(message.output, writer.uint32(122).fork(), _depth + 1).ldelim();
            if (message.chain != null && $Object.hasOwnProperty.call(message, "chain"))
                $root.quantd.ChainBlob.encode(message.chain, writer.uint32(130).fork(), _depth + 1).ldelim();
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        BlockRequest.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.BlockRequest();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.run = value;
                        else
                            delete message.run;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        message.source = $root.quantd.SourceBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.source);
                        message.blob = "source";
                        continue;
                    }
                case 3: {
                        if (wireType !== 2)
                            break;
                        message.blockRun = $root.quantd.BlockRunBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.blockRun);
                        message.blob = "blockRun";
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        message.importance = $root.quantd.ImportanceBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.importance);
                        message.blob = "importance";
                        continue;
                    }
                case 9: {
                        if (wireType !== 2)
                            break;
                        message.description = $root.quantd.DescriptionBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.description);
                        message.blob = "description";
                        continue;
                    }
                case 10: {
                        if (wireType !== 2)
                            break;
                        message.layerLeaves = $root.quantd.LayerLeavesBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.layerLeaves);
                        message.blob = "layerLeaves";
                        continue;
                    }
                case 11: {
                        if (wireType !== 2)
                            break;
                        message.state = $root.quantd.StateBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.state);
                        message.blob = "state";
                        continue;
                    }
                case 12: {
                        if (wireType !== 2)
                            break;
                        message.layerInputs = $root.quantd.LayerInputsBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.layerInputs);
                        message.blob = "layerInputs";
                        continue;
                    }
                case 13: {
                        if (wireType !== 2)
                            break;
                        message.sums = $root.quantd.SumsBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.sums);
                        message.blob = "sums";
                        continue;
                    }
                case 14: {
                        if (wireType !== 2)
                            break;
                        message.assemblyMap = $root.quantd.AssemblyMapBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.assemblyMap);
                        message.blob = "assemblyMap";
                        continue;
                    }
                case 15: {
                        if (wireType !== 2)
                            break;
                        message.output = $root.quantd.OutputBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.output);
                        message.blob = "output";
                        continue;
                    }
                case 16: {
                        if (wireType !== 2)
                            break;
                        message.chain = $root.quantd.ChainBlob.decode(reader, reader.size(), $undefined, _depth + 1, message.chain);
                        message.blob = "chain";
                        continue;
                    }
                case 5: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.blobBytes = value;
                        else
                            delete message.blobBytes;
                        continue;
                    }
                case 6: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.offset = value;
                        else
                            delete message.offset;
                        continue;
                    }
                case 7: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.bytes = value;
                        else
                            delete message.bytes;
                        continue;
                    }
                case 8: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.bool())
                            message.digestKnown = value;
                        else
                            delete message.digestKnown;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return BlockRequest;
    })();

    quantd.SourceBlob = (function() {

        const SourceBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        SourceBlob.prototype.fileDigest = $util.newBuffer([]);
        SourceBlob.prototype.offset = $util.Long ? $util.Long.fromBits(0,0,true) : 0;

        SourceBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.fileDigest != null && $Object.hasOwnProperty.call(message, "fileDigest") && message.fileDigest.length)
                writer.uint32(10).bytes(message.fileDigest);
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset") && (typeof message.offset === "object" ? message.offset.low || message.offset.high : message.offset !== 0))
                writer.uint32(16).uint64(message.offset);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        SourceBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.SourceBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.fileDigest = value;
                        else
                            delete message.fileDigest;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.offset = value;
                        else
                            delete message.offset;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return SourceBlob;
    })();

    quantd.BlockRunBlob = (function() {

        const BlockRunBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        BlockRunBlob.prototype.unit = $util.newBuffer([]);

        BlockRunBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.unit != null && $Object.hasOwnProperty.call(message, "unit") && message.unit.length)
                writer.uint32(10).bytes(message.unit);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        BlockRunBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.BlockRunBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.unit = value;
                        else
                            delete message.unit;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return BlockRunBlob;
    })();

    quantd.ImportanceBlob = (function() {

        const ImportanceBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        ImportanceBlob.prototype.digest = $util.newBuffer([]);

        ImportanceBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(10).bytes(message.digest);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        ImportanceBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.ImportanceBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return ImportanceBlob;
    })();

    quantd.DescriptionBlob = (function() {

        const DescriptionBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        DescriptionBlob.prototype.digest = $util.newBuffer([]);

        DescriptionBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(10).bytes(message.digest);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        DescriptionBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.DescriptionBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return DescriptionBlob;
    })();

    quantd.LayerLeavesBlob = (function() {

        const LayerLeavesBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        LayerLeavesBlob.prototype.layer = 0;

        LayerLeavesBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.layer != null && $Object.hasOwnProperty.call(message, "layer") && message.layer !== 0)
                writer.uint32(8).uint32(message.layer);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        LayerLeavesBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.LayerLeavesBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.layer = value;
                        else
                            delete message.layer;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return LayerLeavesBlob;
    })();

    quantd.StateBlob = (function() {

        const StateBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        StateBlob.prototype.boundary = 0;
        StateBlob.prototype.chunk = 0;

        StateBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.boundary != null && $Object.hasOwnProperty.call(message, "boundary") && message.boundary !== 0)
                writer.uint32(8).uint32(message.boundary);
            if (message.chunk != null && $Object.hasOwnProperty.call(message, "chunk") && message.chunk !== 0)
                writer.uint32(16).uint32(message.chunk);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        StateBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.StateBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.boundary = value;
                        else
                            delete message.boundary;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.chunk = value;
                        else
                            delete message.chunk;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return StateBlob;
    })();

    quantd.LayerInputsBlob = (function() {

        const LayerInputsBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        LayerInputsBlob.prototype.layer = 0;
        LayerInputsBlob.prototype.chunk = 0;

        LayerInputsBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.layer != null && $Object.hasOwnProperty.call(message, "layer") && message.layer !== 0)
                writer.uint32(8).uint32(message.layer);
            if (message.chunk != null && $Object.hasOwnProperty.call(message, "chunk") && message.chunk !== 0)
                writer.uint32(16).uint32(message.chunk);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        LayerInputsBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.LayerInputsBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.layer = value;
                        else
                            delete message.layer;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.chunk = value;
                        else
                            delete message.chunk;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return LayerInputsBlob;
    })();

    quantd.SumsBlob = (function() {

        const SumsBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        SumsBlob.prototype.digest = $util.newBuffer([]);

        SumsBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(10).bytes(message.digest);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        SumsBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.SumsBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return SumsBlob;
    })();

    quantd.AssemblyMapBlob = (function() {

        const AssemblyMapBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        AssemblyMapBlob.prototype.digest = $util.newBuffer([]);

        AssemblyMapBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(10).bytes(message.digest);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        AssemblyMapBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.AssemblyMapBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return AssemblyMapBlob;
    })();

    quantd.OutputBlob = (function() {

        const OutputBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        OutputBlob.prototype.id = $util.newBuffer([]);
        OutputBlob.prototype.offset = $util.Long ? $util.Long.fromBits(0,0,true) : 0;

        OutputBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.id != null && $Object.hasOwnProperty.call(message, "id") && message.id.length)
                writer.uint32(10).bytes(message.id);
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset") && (typeof message.offset === "object" ? message.offset.low || message.offset.high : message.offset !== 0))
                writer.uint32(16).uint64(message.offset);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        OutputBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.OutputBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.id = value;
                        else
                            delete message.id;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.offset = value;
                        else
                            delete message.offset;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return OutputBlob;
    })();

    quantd.ChainBlob = (function() {

        const ChainBlob = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        ChainBlob.prototype.fileDigest = $util.newBuffer([]);
        ChainBlob.prototype.offset = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        ChainBlob.prototype.pieceBytes = $util.Long ? $util.Long.fromBits(0,0,true) : 0;
        ChainBlob.prototype.state = $util.newBuffer([]);

        ChainBlob.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.fileDigest != null && $Object.hasOwnProperty.call(message, "fileDigest") && message.fileDigest.length)
                writer.uint32(10).bytes(message.fileDigest);
            if (message.offset != null && $Object.hasOwnProperty.call(message, "offset") && (typeof message.offset === "object" ? message.offset.low || message.offset.high : message.offset !== 0))
                writer.uint32(16).uint64(message.offset);
            if (message.pieceBytes != null && $Object.hasOwnProperty.call(message, "pieceBytes") && (typeof message.pieceBytes === "object" ? message.pieceBytes.low || message.pieceBytes.high : message.pieceBytes !== 0))
                writer.uint32(24).uint64(message.pieceBytes);
            if (message.state != null && $Object.hasOwnProperty.call(message, "state") && message.state.length)
                writer.uint32(34).bytes(message.state);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        ChainBlob.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.ChainBlob();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.fileDigest = value;
                        else
                            delete message.fileDigest;
                        continue;
                    }
                case 2: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.offset = value;
                        else
                            delete message.offset;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (typeof (value = reader.uint64()) === "object" ? value.low || value.high : value !== 0)
                            message.pieceBytes = value;
                        else
                            delete message.pieceBytes;
                        continue;
                    }
                case 4: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.state = value;
                        else
                            delete message.state;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        return ChainBlob;
    })();

    quantd.BlockReply = (function() {

        const BlockReply = function (properties) {
            if (properties)
                for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
                    if (properties[keys[i]] != null && keys[i] !== "__proto__")
                        this[keys[i]] = properties[keys[i]];
        };

        BlockReply.prototype.status = 0;
        BlockReply.prototype.digest = $util.newBuffer([]);
        BlockReply.prototype.bytes = 0;

        BlockReply.encode = function (message, writer, _depth) {
            if (!writer)
                writer = $Writer.create();
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $util.recursionLimit)
                throw $Error("max depth exceeded");
            if (message.status != null && $Object.hasOwnProperty.call(message, "status") && message.status !== 0)
                writer.uint32(8).int32(message.status);
            if (message.digest != null && $Object.hasOwnProperty.call(message, "digest") && message.digest.length)
                writer.uint32(18).bytes(message.digest);
            if (message.bytes != null && $Object.hasOwnProperty.call(message, "bytes") && message.bytes !== 0)
                writer.uint32(24).uint32(message.bytes);
            if (message.$unknowns != null && $Object.hasOwnProperty.call(message, "$unknowns"))
                for (let i = 0; i < message.$unknowns.length; ++i)
                    writer.raw(message.$unknowns[i]);
            return writer;
        };

        BlockReply.decode = function (reader, length, _end, _depth, _target) {
            if (!(reader instanceof $Reader))
                reader = $Reader.create(reader);
            if (_depth === $undefined)
                _depth = 0;
            if (_depth > $Reader.recursionLimit)
                throw $Error("max depth exceeded");
            let end, message, value;
            if (length === $undefined)
                end = reader.len;
            else {
                end = reader.pos + length;
                if (end > reader.len)
                    throw $RangeError("index out of range");
                length = reader.len;
                reader.len = end;
            }
            message = _target || new $root.quantd.BlockReply();
            while (reader.pos < end) {
                let start = reader.pos;
                let tag = reader.tag();
                if (tag === _end) {
                    _end = $undefined;
                    break;
                }
                let wireType = tag & 7;
                switch (tag >>>= 3) {
                case 1: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.int32())
                            message.status = value;
                        else
                            delete message.status;
                        continue;
                    }
                case 2: {
                        if (wireType !== 2)
                            break;
                        if ((value = reader.bytes()).length)
                            message.digest = value;
                        else
                            delete message.digest;
                        continue;
                    }
                case 3: {
                        if (wireType !== 0)
                            break;
                        if (value = reader.uint32())
                            message.bytes = value;
                        else
                            delete message.bytes;
                        continue;
                    }
                }
                reader.skipType(wireType, _depth, tag);
                if (!reader.discardUnknown) {
                    $util.makeProp(message, "$unknowns", false);
                    (message.$unknowns || (message.$unknowns = [])).push(reader.raw(start, reader.pos));
                }
            }
            if (length !== $undefined) {
                if (reader.pos !== end)
                    throw $RangeError("index out of range");
                reader.len = length;
            }
            if (_end !== $undefined)
                throw $Error("missing end group");
            return message;
        };

        BlockReply.Status = (function() {
            const valuesById = $Object.create(null), values = $Object.create(valuesById);
            values[valuesById[0] = "UNSPECIFIED"] = 0;
            values[valuesById[1] = "OK"] = 1;
            values[valuesById[2] = "ABSENT"] = 2;
            return values;
        })();

        return BlockReply;
    })();

    return quantd;
})();

export {
  $root as default
};
