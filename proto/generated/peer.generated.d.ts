// Generated from peer.proto by scripts/generate-proto.mjs.
import * as $protobuf from "protobufjs";
import Long = require("long");

export namespace quantd {

    interface IEnvelope extends quantd.Envelope.$Properties {
    }

    class Envelope {
        constructor(properties?: quantd.Envelope.$Properties);
        $unknowns?: Uint8Array[];
        hello?: (quantd.Hello.$Properties|null);
        runOpen?: (quantd.RunOpen.$Properties|null);
        lease?: (quantd.Lease.$Properties|null);
        working?: (quantd.Working.$Properties|null);
        answer?: (quantd.LeaseAnswer.$Properties|null);
        kept?: (quantd.Kept.$Properties|null);
        runClose?: (quantd.RunClose.$Properties|null);
        members?: (quantd.MemberRecords.$Properties|null);
        keyChange?: (quantd.KeyChange.$Properties|null);
        stageLease?: (quantd.StageLease.$Properties|null);
        stageWorking?: (quantd.StageWorking.$Properties|null);
        stageAnswer?: (quantd.StageAnswer.$Properties|null);
        stageKept?: (quantd.StageKept.$Properties|null);
        stateRelease?: (quantd.StateRelease.$Properties|null);
        sumsHeld?: (quantd.SumsHeld.$Properties|null);
        sumsKept?: (quantd.SumsKept.$Properties|null);
        meet?: (quantd.Meet.$Properties|null);
        assemble?: (quantd.Assemble.$Properties|null);
        assemblyState?: (quantd.AssemblyState.$Properties|null);
        assemblyTake?: (quantd.AssemblyTake.$Properties|null);
        assemblyTaken?: (quantd.AssemblyTaken.$Properties|null);
        assemblySeal?: (quantd.AssemblySeal.$Properties|null);
        assemblyEnd?: (quantd.AssemblyEnd.$Properties|null);
        piecesVoid?: (quantd.PiecesVoid.$Properties|null);
        message?: ("hello"|"runOpen"|"lease"|"working"|"answer"|"kept"|"runClose"|"members"|"keyChange"|"stageLease"|"stageWorking"|"stageAnswer"|"stageKept"|"stateRelease"|"sumsHeld"|"sumsKept"|"meet"|"assemble"|"assemblyState"|"assemblyTake"|"assemblyTaken"|"assemblySeal"|"assemblyEnd"|"piecesVoid");
        static encode(message: quantd.Envelope.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Envelope & quantd.Envelope.$Shape;
    }

    namespace Envelope {
        interface $Properties {
            hello?: (quantd.Hello.$Properties|null);
            runOpen?: (quantd.RunOpen.$Properties|null);
            lease?: (quantd.Lease.$Properties|null);
            working?: (quantd.Working.$Properties|null);
            answer?: (quantd.LeaseAnswer.$Properties|null);
            kept?: (quantd.Kept.$Properties|null);
            runClose?: (quantd.RunClose.$Properties|null);
            members?: (quantd.MemberRecords.$Properties|null);
            keyChange?: (quantd.KeyChange.$Properties|null);
            stageLease?: (quantd.StageLease.$Properties|null);
            stageWorking?: (quantd.StageWorking.$Properties|null);
            stageAnswer?: (quantd.StageAnswer.$Properties|null);
            stageKept?: (quantd.StageKept.$Properties|null);
            stateRelease?: (quantd.StateRelease.$Properties|null);
            sumsHeld?: (quantd.SumsHeld.$Properties|null);
            sumsKept?: (quantd.SumsKept.$Properties|null);
            meet?: (quantd.Meet.$Properties|null);
            assemble?: (quantd.Assemble.$Properties|null);
            assemblyState?: (quantd.AssemblyState.$Properties|null);
            assemblyTake?: (quantd.AssemblyTake.$Properties|null);
            assemblyTaken?: (quantd.AssemblyTaken.$Properties|null);
            assemblySeal?: (quantd.AssemblySeal.$Properties|null);
            assemblyEnd?: (quantd.AssemblyEnd.$Properties|null);
            piecesVoid?: (quantd.PiecesVoid.$Properties|null);
            message?: ("hello"|"runOpen"|"lease"|"working"|"answer"|"kept"|"runClose"|"members"|"keyChange"|"stageLease"|"stageWorking"|"stageAnswer"|"stageKept"|"stateRelease"|"sumsHeld"|"sumsKept"|"meet"|"assemble"|"assemblyState"|"assemblyTake"|"assemblyTaken"|"assemblySeal"|"assemblyEnd"|"piecesVoid");
            $unknowns?: Uint8Array[];
        }
        type $Shape = {
          hello?: quantd.Hello.$Shape|null;
          runOpen?: quantd.RunOpen.$Shape|null;
          lease?: quantd.Lease.$Shape|null;
          working?: quantd.Working.$Shape|null;
          answer?: quantd.LeaseAnswer.$Shape|null;
          kept?: quantd.Kept.$Shape|null;
          runClose?: quantd.RunClose.$Shape|null;
          members?: quantd.MemberRecords.$Shape|null;
          keyChange?: quantd.KeyChange.$Shape|null;
          stageLease?: quantd.StageLease.$Shape|null;
          stageWorking?: quantd.StageWorking.$Shape|null;
          stageAnswer?: quantd.StageAnswer.$Shape|null;
          stageKept?: quantd.StageKept.$Shape|null;
          stateRelease?: quantd.StateRelease.$Shape|null;
          sumsHeld?: quantd.SumsHeld.$Shape|null;
          sumsKept?: quantd.SumsKept.$Shape|null;
          meet?: quantd.Meet.$Shape|null;
          assemble?: quantd.Assemble.$Shape|null;
          assemblyState?: quantd.AssemblyState.$Shape|null;
          assemblyTake?: quantd.AssemblyTake.$Shape|null;
          assemblyTaken?: quantd.AssemblyTaken.$Shape|null;
          assemblySeal?: quantd.AssemblySeal.$Shape|null;
          assemblyEnd?: quantd.AssemblyEnd.$Shape|null;
          piecesVoid?: quantd.PiecesVoid.$Shape|null;
          $unknowns?: Uint8Array[];
        } & (
          ({ message?: undefined; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "hello"; hello: quantd.Hello.$Shape; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "runOpen"; hello?: null; runOpen: quantd.RunOpen.$Shape; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "lease"; hello?: null; runOpen?: null; lease: quantd.Lease.$Shape; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "working"; hello?: null; runOpen?: null; lease?: null; working: quantd.Working.$Shape; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "answer"; hello?: null; runOpen?: null; lease?: null; working?: null; answer: quantd.LeaseAnswer.$Shape; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "kept"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept: quantd.Kept.$Shape; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "runClose"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose: quantd.RunClose.$Shape; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "members"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members: quantd.MemberRecords.$Shape; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "keyChange"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange: quantd.KeyChange.$Shape; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "stageLease"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease: quantd.StageLease.$Shape; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "stageWorking"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking: quantd.StageWorking.$Shape; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "stageAnswer"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer: quantd.StageAnswer.$Shape; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "stageKept"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept: quantd.StageKept.$Shape; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "stateRelease"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease: quantd.StateRelease.$Shape; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "sumsHeld"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld: quantd.SumsHeld.$Shape; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "sumsKept"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept: quantd.SumsKept.$Shape; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "meet"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet: quantd.Meet.$Shape; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "assemble"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble: quantd.Assemble.$Shape; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "assemblyState"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState: quantd.AssemblyState.$Shape; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "assemblyTake"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake: quantd.AssemblyTake.$Shape; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "assemblyTaken"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken: quantd.AssemblyTaken.$Shape; assemblySeal?: null; assemblyEnd?: null; piecesVoid?: null }|{ message?: "assemblySeal"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal: quantd.AssemblySeal.$Shape; assemblyEnd?: null; piecesVoid?: null }|{ message?: "assemblyEnd"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd: quantd.AssemblyEnd.$Shape; piecesVoid?: null }|{ message?: "piecesVoid"; hello?: null; runOpen?: null; lease?: null; working?: null; answer?: null; kept?: null; runClose?: null; members?: null; keyChange?: null; stageLease?: null; stageWorking?: null; stageAnswer?: null; stageKept?: null; stateRelease?: null; sumsHeld?: null; sumsKept?: null; meet?: null; assemble?: null; assemblyState?: null; assemblyTake?: null; assemblyTaken?: null; assemblySeal?: null; assemblyEnd?: null; piecesVoid: quantd.PiecesVoid.$Shape })
        );
    }

    interface IHello extends quantd.Hello.$Properties {
    }

    class Hello {
        constructor(properties?: quantd.Hello.$Properties);
        $unknowns?: Uint8Array[];
        version: string;
        contract: string;
        name: string;
        isa: string;
        threads: number;
        ramBytes: number;
        diskBytes: number;
        bytesPerSecond: number;
        multiplicationsPerSecond: number;
        static encode(message: quantd.Hello.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Hello & quantd.Hello.$Shape;
    }

    namespace Hello {
        interface $Properties {
            version?: (string|null);
            contract?: (string|null);
            name?: (string|null);
            isa?: (string|null);
            threads?: (number|null);
            ramBytes?: (number|null);
            diskBytes?: (number|null);
            bytesPerSecond?: (number|null);
            multiplicationsPerSecond?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Hello.$Properties;
    }

    interface IRunOpen extends quantd.RunOpen.$Properties {
    }

    class RunOpen {
        constructor(properties?: quantd.RunOpen.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        static encode(message: quantd.RunOpen.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.RunOpen & quantd.RunOpen.$Shape;
    }

    namespace RunOpen {
        interface $Properties {
            run?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.RunOpen.$Properties;
    }

    interface ISourcePiece extends quantd.SourcePiece.$Properties {
    }

    class SourcePiece {
        constructor(properties?: quantd.SourcePiece.$Properties);
        $unknowns?: Uint8Array[];
        file: string;
        fileDigest: Uint8Array;
        offset: number;
        bytes: number;
        leaves: Uint8Array;
        static encode(message: quantd.SourcePiece.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.SourcePiece & quantd.SourcePiece.$Shape;
    }

    namespace SourcePiece {
        interface $Properties {
            file?: (string|null);
            fileDigest?: (Uint8Array|null);
            offset?: (number|null);
            bytes?: (number|null);
            leaves?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.SourcePiece.$Properties;
    }

    interface ILeasedRun extends quantd.LeasedRun.$Properties {
    }

    class LeasedRun {
        constructor(properties?: quantd.LeasedRun.$Properties);
        $unknowns?: Uint8Array[];
        unit: Uint8Array;
        type: string;
        bytes: number;
        static encode(message: quantd.LeasedRun.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.LeasedRun & quantd.LeasedRun.$Shape;
    }

    namespace LeasedRun {
        interface $Properties {
            unit?: (Uint8Array|null);
            type?: (string|null);
            bytes?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.LeasedRun.$Properties;
    }

    interface ISourceOrigin extends quantd.SourceOrigin.$Properties {
    }

    class SourceOrigin {
        constructor(properties?: quantd.SourceOrigin.$Properties);
        $unknowns?: Uint8Array[];
        hubUrl: string;
        repository: string;
        commit: Uint8Array;
        static encode(message: quantd.SourceOrigin.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.SourceOrigin & quantd.SourceOrigin.$Shape;
    }

    namespace SourceOrigin {
        interface $Properties {
            hubUrl?: (string|null);
            repository?: (string|null);
            commit?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.SourceOrigin.$Properties;
    }

    interface ILease extends quantd.Lease.$Properties {
    }

    class Lease {
        constructor(properties?: quantd.Lease.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        task: number;
        tensor: string;
        element: string;
        shape: Uint8Array;
        rowStart: number;
        rows: number;
        pieces: quantd.SourcePiece.$Properties[];
        sources: string[];
        runs: quantd.LeasedRun.$Properties[];
        importance: Uint8Array;
        origin?: (quantd.SourceOrigin.$Properties|null);
        assemblers: string[];
        static encode(message: quantd.Lease.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Lease & quantd.Lease.$Shape;
    }

    namespace Lease {
        interface $Properties {
            run?: (Uint8Array|null);
            task?: (number|null);
            tensor?: (string|null);
            element?: (string|null);
            shape?: (Uint8Array|null);
            rowStart?: (number|null);
            rows?: (number|null);
            pieces?: (quantd.SourcePiece.$Properties[]|null);
            sources?: (string[]|null);
            runs?: (quantd.LeasedRun.$Properties[]|null);
            importance?: (Uint8Array|null);
            origin?: (quantd.SourceOrigin.$Properties|null);
            assemblers?: (string[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Lease.$Properties;
    }

    interface IWorking extends quantd.Working.$Properties {
    }

    class Working {
        constructor(properties?: quantd.Working.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        tasks: number[];
        static encode(message: quantd.Working.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Working & quantd.Working.$Shape;
    }

    namespace Working {
        interface $Properties {
            run?: (Uint8Array|null);
            tasks?: (number[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Working.$Properties;
    }

    interface IMadeUnit extends quantd.MadeUnit.$Properties {
    }

    class MadeUnit {
        constructor(properties?: quantd.MadeUnit.$Properties);
        $unknowns?: Uint8Array[];
        unit: Uint8Array;
        digest: Uint8Array;
        static encode(message: quantd.MadeUnit.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.MadeUnit & quantd.MadeUnit.$Shape;
    }

    namespace MadeUnit {
        interface $Properties {
            unit?: (Uint8Array|null);
            digest?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.MadeUnit.$Properties;
    }

    interface IFault extends quantd.Fault.$Properties {
    }

    class Fault {
        constructor(properties?: quantd.Fault.$Properties);
        $unknowns?: Uint8Array[];
        code: string;
        exit: number;
        what: string;
        hint: string;
        file?: (string|null);
        tensor?: (string|null);
        row?: (number|null);
        byte?: (number|null);
        longByte?: (string|null);
        key?: (string|null);
        why?: (string|null);
        static encode(message: quantd.Fault.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Fault & quantd.Fault.$Shape;
    }

    namespace Fault {
        interface $Properties {
            code?: (string|null);
            exit?: (number|null);
            what?: (string|null);
            hint?: (string|null);
            file?: (string|null);
            tensor?: (string|null);
            row?: (number|null);
            byte?: (number|null);
            longByte?: (string|null);
            key?: (string|null);
            why?: (string|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Fault.$Properties;
    }

    interface ILeaseAnswer extends quantd.LeaseAnswer.$Properties {
    }

    class LeaseAnswer {
        constructor(properties?: quantd.LeaseAnswer.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        task: number;
        made: quantd.MadeUnit.$Properties[];
        fault?: (quantd.Fault.$Properties|null);
        declined?: (string|null);
        signature: Uint8Array;
        leaves: Uint8Array;
        detour?: (string|null);
        static encode(message: quantd.LeaseAnswer.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.LeaseAnswer & quantd.LeaseAnswer.$Shape;
    }

    namespace LeaseAnswer {
        interface $Properties {
            run?: (Uint8Array|null);
            task?: (number|null);
            made?: (quantd.MadeUnit.$Properties[]|null);
            fault?: (quantd.Fault.$Properties|null);
            declined?: (string|null);
            signature?: (Uint8Array|null);
            leaves?: (Uint8Array|null);
            detour?: (string|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.LeaseAnswer.$Properties;
    }

    interface IKept extends quantd.Kept.$Properties {
    }

    class Kept {
        constructor(properties?: quantd.Kept.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        tasks: number[];
        static encode(message: quantd.Kept.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Kept & quantd.Kept.$Shape;
    }

    namespace Kept {
        interface $Properties {
            run?: (Uint8Array|null);
            tasks?: (number[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Kept.$Properties;
    }

    interface IPiecesVoid extends quantd.PiecesVoid.$Properties {
    }

    class PiecesVoid {
        constructor(properties?: quantd.PiecesVoid.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        fileDigest: Uint8Array;
        offsets: Uint8Array;
        sizes: Uint8Array;
        static encode(message: quantd.PiecesVoid.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.PiecesVoid & quantd.PiecesVoid.$Shape;
    }

    namespace PiecesVoid {
        interface $Properties {
            run?: (Uint8Array|null);
            fileDigest?: (Uint8Array|null);
            offsets?: (Uint8Array|null);
            sizes?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.PiecesVoid.$Properties;
    }

    interface IRunClose extends quantd.RunClose.$Properties {
    }

    class RunClose {
        constructor(properties?: quantd.RunClose.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        sealed: boolean;
        static encode(message: quantd.RunClose.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.RunClose & quantd.RunClose.$Shape;
    }

    namespace RunClose {
        interface $Properties {
            run?: (Uint8Array|null);
            sealed?: (boolean|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.RunClose.$Properties;
    }

    interface IMemberRecords extends quantd.MemberRecords.$Properties {
    }

    class MemberRecords {
        constructor(properties?: quantd.MemberRecords.$Properties);
        $unknowns?: Uint8Array[];
        records: Uint8Array[];
        static encode(message: quantd.MemberRecords.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.MemberRecords & quantd.MemberRecords.$Shape;
    }

    namespace MemberRecords {
        interface $Properties {
            records?: (Uint8Array[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.MemberRecords.$Properties;
    }

    interface IKeyChange extends quantd.KeyChange.$Properties {
    }

    class KeyChange {
        constructor(properties?: quantd.KeyChange.$Properties);
        $unknowns?: Uint8Array[];
        epoch: number;
        networkKey: Uint8Array;
        static encode(message: quantd.KeyChange.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.KeyChange & quantd.KeyChange.$Shape;
    }

    namespace KeyChange {
        interface $Properties {
            epoch?: (number|null);
            networkKey?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.KeyChange.$Properties;
    }

    interface IMeet extends quantd.Meet.$Properties {
    }

    class Meet {
        constructor(properties?: quantd.Meet.$Properties);
        $unknowns?: Uint8Array[];
        peer: string;
        addresses: string[];
        static encode(message: quantd.Meet.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Meet & quantd.Meet.$Shape;
    }

    namespace Meet {
        interface $Properties {
            peer?: (string|null);
            addresses?: (string[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Meet.$Properties;
    }

    interface IStageLease extends quantd.StageLease.$Properties {
    }

    class StageLease {
        constructor(properties?: quantd.StageLease.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        lease: number;
        from: number;
        to: number;
        group: number;
        chunks: number[];
        collect: number[];
        inputs: string[];
        description: Uint8Array;
        descriptionBytes: number;
        leavesState: boolean;
        leftOut: number[];
        waveChunks: number;
        origin?: (quantd.SourceOrigin.$Properties|null);
        static encode(message: quantd.StageLease.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.StageLease & quantd.StageLease.$Shape;
    }

    namespace StageLease {
        interface $Properties {
            run?: (Uint8Array|null);
            lease?: (number|null);
            from?: (number|null);
            to?: (number|null);
            group?: (number|null);
            chunks?: (number[]|null);
            collect?: (number[]|null);
            inputs?: (string[]|null);
            description?: (Uint8Array|null);
            descriptionBytes?: (number|null);
            leavesState?: (boolean|null);
            leftOut?: (number[]|null);
            waveChunks?: (number|null);
            origin?: (quantd.SourceOrigin.$Properties|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.StageLease.$Properties;
    }

    interface IStageWorking extends quantd.StageWorking.$Properties {
    }

    class StageWorking {
        constructor(properties?: quantd.StageWorking.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        leases: number[];
        passed: number;
        begun: number;
        static encode(message: quantd.StageWorking.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.StageWorking & quantd.StageWorking.$Shape;
    }

    namespace StageWorking {
        interface $Properties {
            run?: (Uint8Array|null);
            leases?: (number[]|null);
            passed?: (number|null);
            begun?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.StageWorking.$Properties;
    }

    interface IStageAnswer extends quantd.StageAnswer.$Properties {
    }

    class StageAnswer {
        constructor(properties?: quantd.StageAnswer.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        lease: number;
        bad: number[];
        fault?: (quantd.Fault.$Properties|null);
        declined?: (string|null);
        detour?: (string|null);
        computeMs: number;
        static encode(message: quantd.StageAnswer.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.StageAnswer & quantd.StageAnswer.$Shape;
    }

    namespace StageAnswer {
        interface $Properties {
            run?: (Uint8Array|null);
            lease?: (number|null);
            bad?: (number[]|null);
            fault?: (quantd.Fault.$Properties|null);
            declined?: (string|null);
            detour?: (string|null);
            computeMs?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.StageAnswer.$Properties;
    }

    interface IStageKept extends quantd.StageKept.$Properties {
    }

    class StageKept {
        constructor(properties?: quantd.StageKept.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        leases: number[];
        static encode(message: quantd.StageKept.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.StageKept & quantd.StageKept.$Shape;
    }

    namespace StageKept {
        interface $Properties {
            run?: (Uint8Array|null);
            leases?: (number[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.StageKept.$Properties;
    }

    interface IStateRelease extends quantd.StateRelease.$Properties {
    }

    class StateRelease {
        constructor(properties?: quantd.StateRelease.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        leases: number[];
        static encode(message: quantd.StateRelease.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.StateRelease & quantd.StateRelease.$Shape;
    }

    namespace StateRelease {
        interface $Properties {
            run?: (Uint8Array|null);
            leases?: (number[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.StateRelease.$Properties;
    }

    interface IHeldSums extends quantd.HeldSums.$Properties {
    }

    class HeldSums {
        constructor(properties?: quantd.HeldSums.$Properties);
        $unknowns?: Uint8Array[];
        layer: number;
        groups: number[];
        leftOut: number[];
        digest: Uint8Array;
        bytes: number;
        static encode(message: quantd.HeldSums.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.HeldSums & quantd.HeldSums.$Shape;
    }

    namespace HeldSums {
        interface $Properties {
            layer?: (number|null);
            groups?: (number[]|null);
            leftOut?: (number[]|null);
            digest?: (Uint8Array|null);
            bytes?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.HeldSums.$Properties;
    }

    interface ISumsHeld extends quantd.SumsHeld.$Properties {
    }

    class SumsHeld {
        constructor(properties?: quantd.SumsHeld.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        sums: quantd.HeldSums.$Properties[];
        static encode(message: quantd.SumsHeld.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.SumsHeld & quantd.SumsHeld.$Shape;
    }

    namespace SumsHeld {
        interface $Properties {
            run?: (Uint8Array|null);
            sums?: (quantd.HeldSums.$Properties[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.SumsHeld.$Properties;
    }

    interface ISumsKept extends quantd.SumsKept.$Properties {
    }

    class SumsKept {
        constructor(properties?: quantd.SumsKept.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        digests: Uint8Array;
        static encode(message: quantd.SumsKept.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.SumsKept & quantd.SumsKept.$Shape;
    }

    namespace SumsKept {
        interface $Properties {
            run?: (Uint8Array|null);
            digests?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.SumsKept.$Properties;
    }

    interface IAssemble extends quantd.Assemble.$Properties {
    }

    class Assemble {
        constructor(properties?: quantd.Assemble.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        output: number;
        opening: number;
        release: Uint8Array;
        file: string;
        id: Uint8Array;
        fileBytes: number;
        headerBytes: number;
        runCount: number;
        map: Uint8Array;
        static encode(message: quantd.Assemble.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.Assemble & quantd.Assemble.$Shape;
    }

    namespace Assemble {
        interface $Properties {
            run?: (Uint8Array|null);
            output?: (number|null);
            opening?: (number|null);
            release?: (Uint8Array|null);
            file?: (string|null);
            id?: (Uint8Array|null);
            fileBytes?: (number|null);
            headerBytes?: (number|null);
            runCount?: (number|null);
            map?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.Assemble.$Properties;
    }

    interface IAssemblyState extends quantd.AssemblyState.$Properties {
    }

    class AssemblyState {
        constructor(properties?: quantd.AssemblyState.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        output: number;
        opening: number;
        phase: quantd.AssemblyState.Phase;
        stored: Uint8Array;
        verifiedBytes: number;
        digest: Uint8Array;
        path: string;
        declined: string;
        static encode(message: quantd.AssemblyState.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.AssemblyState & quantd.AssemblyState.$Shape;
    }

    namespace AssemblyState {
        interface $Properties {
            run?: (Uint8Array|null);
            output?: (number|null);
            opening?: (number|null);
            phase?: (quantd.AssemblyState.Phase|null);
            stored?: (Uint8Array|null);
            verifiedBytes?: (number|null);
            digest?: (Uint8Array|null);
            path?: (string|null);
            declined?: (string|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.AssemblyState.$Properties;

        enum Phase {
            UNSPECIFIED = 0,
            OPEN = 1,
            LOST = 2,
            VERIFYING = 3,
            SEALED = 4,
            ENDED = 5,
            DECLINED = 6
        }
    }

    interface ITakenRun extends quantd.TakenRun.$Properties {
    }

    class TakenRun {
        constructor(properties?: quantd.TakenRun.$Properties);
        $unknowns?: Uint8Array[];
        run: number;
        serial: number;
        digest: Uint8Array;
        from: string;
        static encode(message: quantd.TakenRun.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.TakenRun & quantd.TakenRun.$Shape;
    }

    namespace TakenRun {
        interface $Properties {
            run?: (number|null);
            serial?: (number|null);
            digest?: (Uint8Array|null);
            from?: (string|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.TakenRun.$Properties;
    }

    interface IAssemblyTake extends quantd.AssemblyTake.$Properties {
    }

    class AssemblyTake {
        constructor(properties?: quantd.AssemblyTake.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        output: number;
        opening: number;
        takes: quantd.TakenRun.$Properties[];
        static encode(message: quantd.AssemblyTake.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.AssemblyTake & quantd.AssemblyTake.$Shape;
    }

    namespace AssemblyTake {
        interface $Properties {
            run?: (Uint8Array|null);
            output?: (number|null);
            opening?: (number|null);
            takes?: (quantd.TakenRun.$Properties[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.AssemblyTake.$Properties;
    }

    interface IAssemblyTaken extends quantd.AssemblyTaken.$Properties {
    }

    class AssemblyTaken {
        constructor(properties?: quantd.AssemblyTaken.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        output: number;
        opening: number;
        written: number[];
        stored: number[];
        failed: number[];
        static encode(message: quantd.AssemblyTaken.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.AssemblyTaken & quantd.AssemblyTaken.$Shape;
    }

    namespace AssemblyTaken {
        interface $Properties {
            run?: (Uint8Array|null);
            output?: (number|null);
            opening?: (number|null);
            written?: (number[]|null);
            stored?: (number[]|null);
            failed?: (number[]|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.AssemblyTaken.$Properties;
    }

    interface IAssemblySeal extends quantd.AssemblySeal.$Properties {
    }

    class AssemblySeal {
        constructor(properties?: quantd.AssemblySeal.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        output: number;
        opening: number;
        static encode(message: quantd.AssemblySeal.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.AssemblySeal & quantd.AssemblySeal.$Shape;
    }

    namespace AssemblySeal {
        interface $Properties {
            run?: (Uint8Array|null);
            output?: (number|null);
            opening?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.AssemblySeal.$Properties;
    }

    interface IAssemblyEnd extends quantd.AssemblyEnd.$Properties {
    }

    class AssemblyEnd {
        constructor(properties?: quantd.AssemblyEnd.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        output: number;
        opening: number;
        erase: boolean;
        static encode(message: quantd.AssemblyEnd.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.AssemblyEnd & quantd.AssemblyEnd.$Shape;
    }

    namespace AssemblyEnd {
        interface $Properties {
            run?: (Uint8Array|null);
            output?: (number|null);
            opening?: (number|null);
            erase?: (boolean|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.AssemblyEnd.$Properties;
    }

    interface IBlockRequest extends quantd.BlockRequest.$Properties {
    }

    class BlockRequest {
        constructor(properties?: quantd.BlockRequest.$Properties);
        $unknowns?: Uint8Array[];
        run: Uint8Array;
        source?: (quantd.SourceBlob.$Properties|null);
        blockRun?: (quantd.BlockRunBlob.$Properties|null);
        importance?: (quantd.ImportanceBlob.$Properties|null);
        description?: (quantd.DescriptionBlob.$Properties|null);
        layerLeaves?: (quantd.LayerLeavesBlob.$Properties|null);
        state?: (quantd.StateBlob.$Properties|null);
        layerInputs?: (quantd.LayerInputsBlob.$Properties|null);
        sums?: (quantd.SumsBlob.$Properties|null);
        assemblyMap?: (quantd.AssemblyMapBlob.$Properties|null);
        output?: (quantd.OutputBlob.$Properties|null);
        chain?: (quantd.ChainBlob.$Properties|null);
        blobBytes: number;
        offset: number;
        bytes: number;
        digestKnown: boolean;
        blob?: ("source"|"blockRun"|"importance"|"description"|"layerLeaves"|"state"|"layerInputs"|"sums"|"assemblyMap"|"output"|"chain");
        static encode(message: quantd.BlockRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.BlockRequest & quantd.BlockRequest.$Shape;
    }

    namespace BlockRequest {
        interface $Properties {
            run?: (Uint8Array|null);
            source?: (quantd.SourceBlob.$Properties|null);
            blockRun?: (quantd.BlockRunBlob.$Properties|null);
            importance?: (quantd.ImportanceBlob.$Properties|null);
            description?: (quantd.DescriptionBlob.$Properties|null);
            layerLeaves?: (quantd.LayerLeavesBlob.$Properties|null);
            state?: (quantd.StateBlob.$Properties|null);
            layerInputs?: (quantd.LayerInputsBlob.$Properties|null);
            sums?: (quantd.SumsBlob.$Properties|null);
            assemblyMap?: (quantd.AssemblyMapBlob.$Properties|null);
            output?: (quantd.OutputBlob.$Properties|null);
            chain?: (quantd.ChainBlob.$Properties|null);
            blobBytes?: (number|null);
            offset?: (number|null);
            bytes?: (number|null);
            digestKnown?: (boolean|null);
            blob?: ("source"|"blockRun"|"importance"|"description"|"layerLeaves"|"state"|"layerInputs"|"sums"|"assemblyMap"|"output"|"chain");
            $unknowns?: Uint8Array[];
        }
        type $Shape = {
          run?: Uint8Array|null;
          source?: quantd.SourceBlob.$Shape|null;
          blockRun?: quantd.BlockRunBlob.$Shape|null;
          importance?: quantd.ImportanceBlob.$Shape|null;
          description?: quantd.DescriptionBlob.$Shape|null;
          layerLeaves?: quantd.LayerLeavesBlob.$Shape|null;
          state?: quantd.StateBlob.$Shape|null;
          layerInputs?: quantd.LayerInputsBlob.$Shape|null;
          sums?: quantd.SumsBlob.$Shape|null;
          assemblyMap?: quantd.AssemblyMapBlob.$Shape|null;
          output?: quantd.OutputBlob.$Shape|null;
          chain?: quantd.ChainBlob.$Shape|null;
          blobBytes?: number|null;
          offset?: number|null;
          bytes?: number|null;
          digestKnown?: boolean|null;
          $unknowns?: Uint8Array[];
        } & (
          ({ blob?: undefined; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "source"; source: quantd.SourceBlob.$Shape; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "blockRun"; source?: null; blockRun: quantd.BlockRunBlob.$Shape; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "importance"; source?: null; blockRun?: null; importance: quantd.ImportanceBlob.$Shape; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "description"; source?: null; blockRun?: null; importance?: null; description: quantd.DescriptionBlob.$Shape; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "layerLeaves"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves: quantd.LayerLeavesBlob.$Shape; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "state"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state: quantd.StateBlob.$Shape; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "layerInputs"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs: quantd.LayerInputsBlob.$Shape; sums?: null; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "sums"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums: quantd.SumsBlob.$Shape; assemblyMap?: null; output?: null; chain?: null }|{ blob?: "assemblyMap"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap: quantd.AssemblyMapBlob.$Shape; output?: null; chain?: null }|{ blob?: "output"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output: quantd.OutputBlob.$Shape; chain?: null }|{ blob?: "chain"; source?: null; blockRun?: null; importance?: null; description?: null; layerLeaves?: null; state?: null; layerInputs?: null; sums?: null; assemblyMap?: null; output?: null; chain: quantd.ChainBlob.$Shape })
        );
    }

    interface ISourceBlob extends quantd.SourceBlob.$Properties {
    }

    class SourceBlob {
        constructor(properties?: quantd.SourceBlob.$Properties);
        $unknowns?: Uint8Array[];
        fileDigest: Uint8Array;
        offset: number;
        static encode(message: quantd.SourceBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.SourceBlob & quantd.SourceBlob.$Shape;
    }

    namespace SourceBlob {
        interface $Properties {
            fileDigest?: (Uint8Array|null);
            offset?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.SourceBlob.$Properties;
    }

    interface IBlockRunBlob extends quantd.BlockRunBlob.$Properties {
    }

    class BlockRunBlob {
        constructor(properties?: quantd.BlockRunBlob.$Properties);
        $unknowns?: Uint8Array[];
        unit: Uint8Array;
        static encode(message: quantd.BlockRunBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.BlockRunBlob & quantd.BlockRunBlob.$Shape;
    }

    namespace BlockRunBlob {
        interface $Properties {
            unit?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.BlockRunBlob.$Properties;
    }

    interface IImportanceBlob extends quantd.ImportanceBlob.$Properties {
    }

    class ImportanceBlob {
        constructor(properties?: quantd.ImportanceBlob.$Properties);
        $unknowns?: Uint8Array[];
        digest: Uint8Array;
        static encode(message: quantd.ImportanceBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.ImportanceBlob & quantd.ImportanceBlob.$Shape;
    }

    namespace ImportanceBlob {
        interface $Properties {
            digest?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.ImportanceBlob.$Properties;
    }

    interface IDescriptionBlob extends quantd.DescriptionBlob.$Properties {
    }

    class DescriptionBlob {
        constructor(properties?: quantd.DescriptionBlob.$Properties);
        $unknowns?: Uint8Array[];
        digest: Uint8Array;
        static encode(message: quantd.DescriptionBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.DescriptionBlob & quantd.DescriptionBlob.$Shape;
    }

    namespace DescriptionBlob {
        interface $Properties {
            digest?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.DescriptionBlob.$Properties;
    }

    interface ILayerLeavesBlob extends quantd.LayerLeavesBlob.$Properties {
    }

    class LayerLeavesBlob {
        constructor(properties?: quantd.LayerLeavesBlob.$Properties);
        $unknowns?: Uint8Array[];
        layer: number;
        static encode(message: quantd.LayerLeavesBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.LayerLeavesBlob & quantd.LayerLeavesBlob.$Shape;
    }

    namespace LayerLeavesBlob {
        interface $Properties {
            layer?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.LayerLeavesBlob.$Properties;
    }

    interface IStateBlob extends quantd.StateBlob.$Properties {
    }

    class StateBlob {
        constructor(properties?: quantd.StateBlob.$Properties);
        $unknowns?: Uint8Array[];
        boundary: number;
        chunk: number;
        static encode(message: quantd.StateBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.StateBlob & quantd.StateBlob.$Shape;
    }

    namespace StateBlob {
        interface $Properties {
            boundary?: (number|null);
            chunk?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.StateBlob.$Properties;
    }

    interface ILayerInputsBlob extends quantd.LayerInputsBlob.$Properties {
    }

    class LayerInputsBlob {
        constructor(properties?: quantd.LayerInputsBlob.$Properties);
        $unknowns?: Uint8Array[];
        layer: number;
        chunk: number;
        static encode(message: quantd.LayerInputsBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.LayerInputsBlob & quantd.LayerInputsBlob.$Shape;
    }

    namespace LayerInputsBlob {
        interface $Properties {
            layer?: (number|null);
            chunk?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.LayerInputsBlob.$Properties;
    }

    interface ISumsBlob extends quantd.SumsBlob.$Properties {
    }

    class SumsBlob {
        constructor(properties?: quantd.SumsBlob.$Properties);
        $unknowns?: Uint8Array[];
        digest: Uint8Array;
        static encode(message: quantd.SumsBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.SumsBlob & quantd.SumsBlob.$Shape;
    }

    namespace SumsBlob {
        interface $Properties {
            digest?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.SumsBlob.$Properties;
    }

    interface IAssemblyMapBlob extends quantd.AssemblyMapBlob.$Properties {
    }

    class AssemblyMapBlob {
        constructor(properties?: quantd.AssemblyMapBlob.$Properties);
        $unknowns?: Uint8Array[];
        digest: Uint8Array;
        static encode(message: quantd.AssemblyMapBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.AssemblyMapBlob & quantd.AssemblyMapBlob.$Shape;
    }

    namespace AssemblyMapBlob {
        interface $Properties {
            digest?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.AssemblyMapBlob.$Properties;
    }

    interface IOutputBlob extends quantd.OutputBlob.$Properties {
    }

    class OutputBlob {
        constructor(properties?: quantd.OutputBlob.$Properties);
        $unknowns?: Uint8Array[];
        id: Uint8Array;
        offset: number;
        static encode(message: quantd.OutputBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.OutputBlob & quantd.OutputBlob.$Shape;
    }

    namespace OutputBlob {
        interface $Properties {
            id?: (Uint8Array|null);
            offset?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.OutputBlob.$Properties;
    }

    interface IChainBlob extends quantd.ChainBlob.$Properties {
    }

    class ChainBlob {
        constructor(properties?: quantd.ChainBlob.$Properties);
        $unknowns?: Uint8Array[];
        fileDigest: Uint8Array;
        offset: number;
        pieceBytes: number;
        state: Uint8Array;
        static encode(message: quantd.ChainBlob.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.ChainBlob & quantd.ChainBlob.$Shape;
    }

    namespace ChainBlob {
        interface $Properties {
            fileDigest?: (Uint8Array|null);
            offset?: (number|null);
            pieceBytes?: (number|null);
            state?: (Uint8Array|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.ChainBlob.$Properties;
    }

    interface IBlockReply extends quantd.BlockReply.$Properties {
    }

    class BlockReply {
        constructor(properties?: quantd.BlockReply.$Properties);
        $unknowns?: Uint8Array[];
        status: quantd.BlockReply.Status;
        digest: Uint8Array;
        bytes: number;
        static encode(message: quantd.BlockReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
        static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): quantd.BlockReply & quantd.BlockReply.$Shape;
    }

    namespace BlockReply {
        interface $Properties {
            status?: (quantd.BlockReply.Status|null);
            digest?: (Uint8Array|null);
            bytes?: (number|null);
            $unknowns?: Uint8Array[];
        }
        type $Shape = quantd.BlockReply.$Properties;

        enum Status {
            UNSPECIFIED = 0,
            OK = 1,
            ABSENT = 2
        }
    }
}
