/**
 * What the page and the worker say to each other.
 *
 * The worker owns the one `Cluster`; the page sends commands and draws what is posted. Everything that crosses is a plain
 * value; bulk crosses as arrays of numbers. Those of a frame (events, flights) are transferred, packed lists are copied.
 */
import type { ClusterPicture, FLIGHT_FIELDS, KeyPicture, NodePicture, Resolve, ResolvedOptions, Verdict } from "kvorum";

export type Verb = "put" | "get" | "del";

/** A sentence in the user's language comes of it in the view: `error.${code}` with `holes`. */
export interface Trouble {
  code:
    | "noWasm"
    /** Its script is there and does not run: this browser, or a policy of the page's host. */
    | "noWorker"
    /** The worker's script or the module did not come, though the page's host answers. */
    | "notLoaded"
    /** Where the page came from, nobody answers any more. */
    | "serverGone"
    /** A part of the page that is loaded when it is needed did not come. */
    | "part"
    | "panicked"
    | "badLink"
    /** It was read, and leads to another run than the one that it was taken from. */
    | "otherRun"
    | "badScript"
    | "badSeed"
    | "keyTooLong"
    | "valueTooLong"
    | "emptyKey"
    | "connectionLost"
    | "refused"
    /** No node there, or none that lets a page of this origin read: a browser does not say which. */
    | "unreachable"
    /** No link leads to this moment; the world goes on. */
    | "noLink"
    /** A command that this world does not allow now; the world goes on. */
    | "notPossible"
    /** Nothing has happened that one could go back to before. */
    | "noBack"
    /** Going back makes all of a run again, and this one is too long for it. */
    | "tooFarBack"
    /** A merge that could not read what it was to merge. */
    | "notMerged"
    /** A merge went out; owners that it could not read may hold siblings that it does not end. */
    | "mayBeLeft"
    /** R or W above N. */
    | "aboveN"
    /** R or W was above a new N and is N now. */
    | "lowered";
  /** Numbers are written as the user's language does. */
  holes: Readonly<Record<string, string | number>>;
  /** What stands in the hole `what`, if this page says it itself. */
  reason?: Reason;
}

/** A part of such a sentence: `reason.${code}` with `holes`. `field` is the part of a link that it is about, if any. */
export interface Reason {
  code:
    | "laterVersion"
    | "prefix"
    | "characters"
    | "unfolds"
    | "damaged"
    | "json"
    | "object"
    | "text"
    | "lengthInCharacters"
    | "lengthInBytes"
    | "range"
    | "choice"
    | "seed"
    | "digest"
    | "quorum"
    | "powerOfTwo"
    /** No more can be done to this world: its script is as long as any may be. */
    | "scriptFull"
    /** Core's own words, where it carries nothing else. They are English. */
    | "core"
    | "scriptNoLine"
    | "scriptTooLong"
    | "scriptNoTime"
    | "scriptNoAction"
    | "scriptNoNode"
    | "scriptNoNumber"
    | "scriptTooLarge"
    | "scriptNoWord"
    | "scriptNoOption"
    | "address"
    | "otherTrace";
  holes: Readonly<Record<string, string | number>>;
}

/** Numbers of a message under way, as the package packs them. */
export const FLIGHT_WIDTH: typeof FLIGHT_FIELDS = 7;

/** What a world is made of. A seed alone is the run that core draws from it, faults included. */
export interface WorldOptions {
  seed: string;
  nodes?: number;
  n?: number;
  r?: number;
  w?: number;
  resolve?: Resolve;
  partitions?: number;
  memtableBytes?: number;
}

export type Fault =
  | { kind: "crash"; node: number }
  | { kind: "restart"; node: number }
  | { kind: "cut"; one: number[]; other: number[] }
  /** All cuts, or those of two sides. */
  | { kind: "heal"; one: number[] | null; other: number[] | null }
  | { kind: "slow"; node: number; ms: number }
  | { kind: "loss"; node: number; permille: number };

export type Goal = { until: number | "end" } | { events: number };

/** What is under way beyond ordinary play, and how much of it is done, from 0 to 1; `null` where that is not known. */
export interface Running {
  goal: "end" | "moment" | "back";
  part: number | null;
}

export type Command =
  /** `goal`: what it comes to first, however it is paced. `key` and `node`: what is selected from the beginning. */
  | {
      kind: "open";
      world: WorldOptions;
      script: string | null;
      goal: Goal | null;
      isPlaying: boolean;
      speed: number;
      key: string | null;
      node: number | null;
    }
  | { kind: "play" }
  | { kind: "pause" }
  | { kind: "speed"; speed: number }
  /** The next thing that leaves a trace. */
  | { kind: "step" }
  /** To before the last thing that left a trace: the world is made again up to there. */
  | { kind: "back" }
  /** Ends runs and the way back, wherever they are. */
  | { kind: "halt" }
  | { kind: "run"; id: number; goal: Goal }
  | { kind: "ask"; ask: number; verb: Verb; key: string; value: string; through: number; r: number | null; w: number | null }
  /** A read of all owners that are up, or of `r`, then a put with what it has seen. */
  | { kind: "merge"; ask: number; key: string; value: string; through: number; r: number; w: number | null }
  | { kind: "fault"; fault: Fault }
  | { kind: "select"; key: string | null; node: number | null }
  | { kind: "link"; id: number }
  /** A frame was drawn: the worker may send another. */
  | { kind: "drawn" };

/** All that makes the same state again. */
export interface Reproduction {
  options: ResolvedOptions;
  script: string;
  events: number;
  digest: string;
}

/** `script`: what it was opened with, so that what was put is known. */
export interface Opened {
  kind: "opened";
  options: ResolvedOptions;
  script: string | null;
  isPlaying: boolean;
  speed: number;
}

export interface Frame {
  kind: "frame";
  words: Uint32Array;
  flights: Float64Array;
  nowUs: number;
  events: number;
}

/**
 * Owners of all partitions for the pictures that follow, packed, see `lists.ts`; told when they are others than before. A task
 * of their own: there may be 16,384 lists to make.
 */
export interface Owners {
  kind: "owners";
  owners: Uint8Array;
}

/** `askedKey`: the whole key that `key` is the picture of, whose own text is cut for display. */
export interface PicturesPost {
  kind: "pictures";
  /** Its owners came before it, see `Owners`. */
  cluster: Omit<ClusterPicture, "owners">;
  /** `repair` is packed, see `lists.ts`. */
  node: (Omit<NodePicture, "repair"> & { repair: Uint32Array }) | null;
  key: KeyPicture | null;
  askedKey: string | null;
  verdict: Verdict;
}

export type Post =
  | Opened
  | Frame
  | Owners
  | PicturesPost
  /** Of the world as it is made again; what is shown stays as it is until `replayed`. */
  | { kind: "replay"; post: Opened | Frame | Owners | PicturesPost }
  /** `isThere`: what was made again takes the place of what was shown; else it is dropped. */
  | { kind: "replayed"; isThere: boolean }
  | { kind: "running"; running: Running | null }
  | { kind: "playing"; isPlaying: boolean; speed: number }
  | { kind: "asked"; ask: number; verb: Verb; key: string; value: string | null; entry: number; needed: number | null; atUs: number }
  | {
      kind: "answered";
      ask: number;
      outcome: "done" | "notDone" | "unknown";
      why: string | null;
      siblings: number;
      atUs: number;
    }
  /** 0: what a world was opened to come to. */
  | { kind: "ran"; id: number; reached: boolean }
  /** `null`: there is no world yet. */
  | { kind: "link"; id: number; reproduction: Reproduction | null }
  /** The world goes on; the command was not done. */
  | { kind: "trouble"; trouble: Trouble }
  /** The world does not go on. `last` leads to the moment before. */
  | { kind: "stopped"; trouble: Trouble; last: Reproduction | null };
