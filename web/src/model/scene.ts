/**
 * What the view draws and what it can ask for: the border between `model` (and `engine` behind it) and `view`.
 *
 * The view is a function of a `Scene`; it knows no protocol, no clock and no worker. Simulated and live clusters fill
 * the same scene; what a live one cannot say is `null` and then not drawn.
 */
import type { ClusterPicture, KeyPicture, NodePicture, Resolve, Verdict } from "kvorum";
import type { Reason, Running, Trouble, Verb } from "../engine/protocol.ts";

export type { Reason, Running, Trouble, Verb };
export { SLOT_COUNT, SPEED_MAX, SPEED_MIN } from "../engine/limits.ts";

export type Mode = "simulated" | "live";

/** One message under way, or one that was lost a moment ago. */
export interface Flight {
  id: number;
  from: number;
  to: number;
  glyph: "request" | "ack" | "answer" | "hint" | "probe";
  /** A message key of what it is, for its label and menu: "flight.write", "flight.readAnswer", … */
  label: string;
  sentUs: number;
  arrivesUs: number;
  /** The request that it belongs to, if that is one of `requests`. */
  request: number | null;
  fate: "arrives" | "lost" | "cut";
}

export interface Vote {
  node: number;
  hinted: boolean;
  atUs: number;
}

/** One leg of a request between its coordinator and a node, for the lanes of the request view. */
export interface Leg {
  node: number;
  role: "owner" | "fallback";
  /** The owner that a fallback stands in for. */
  standsFor: number | null;
  hedged: boolean;
  askedUs: number;
  /** When it reached the node; `null` while under way, or lost. */
  reachedUs: number | null;
  /** When its disk had it (writes). */
  syncedUs: number | null;
  answeredUs: number | null;
  answer: "ack" | "absent" | "cell" | "refused" | "lostToStamp" | null;
}

export interface RequestModel {
  /** Counted from 1 over the run. */
  number: number;
  verb: Verb;
  key: string;
  value: string | null;
  /** The node that the client asked. */
  entry: number;
  /** The node that coordinates; another than `entry` when that owns nothing of the key's partition. */
  coordinator: number | null;
  partition: number;
  startedUs: number;
  /** When its coordinator had what it needs; the answer still has to reach the entry. */
  decidedUs: number | null;
  endedUs: number | null;
  outcome: "running" | "done" | "notDone" | "unknown";
  /** Code of a refusal, as the core names it; `null` if done. */
  why: string | null;
  needed: number;
  votes: Vote[];
  legs: Leg[];
  /** Owners that were not asked because they are Down. */
  skipped: number[];
  /** Siblings that a read found, or that were there after a write. */
  siblings: number;
}

export type TimelineMark =
  | { kind: "cut"; fromUs: number; toUs: number | null; one: number[]; other: number[] }
  | { kind: "slow"; fromUs: number; toUs: number | null; node: number; ms: number }
  | { kind: "loss"; fromUs: number; toUs: number | null; node: number }
  /** `wiped`: its disk is gone as well; `paused`: it stands still and goes on as it was. */
  | { kind: "crash"; how: "stopped" | "paused" | "wiped"; fromUs: number; toUs: number | null; node: number }
  | { kind: "request"; atUs: number; verb: Verb; number: number; siblings: boolean }
  | { kind: "suspected"; atUs: number; by: number; of: number }
  | { kind: "down"; atUs: number; of: number; reporters: number[] }
  | { kind: "up"; atUs: number; of: number };

export interface LiveFacts {
  address: string;
  /** `unreachable`: nobody there has ever spoken to this page; `lost`: somebody had. */
  status: "attaching" | "attached" | "lost" | "unreachable" | "refused";
  /** Since the last event; until the next try, while none is attached. */
  lastEventMs: number;
  retryInMs: number | null;
  eventsPerSecond: number;
  /** One of so many events is drawn. */
  sampledOneIn: number;
  writesPerSecond: number[];
  /** Partitions of keys written in the last second. */
  landed: { partition: number; atMs: number }[];
  /** Events in each second of the last minute, the latest last; fewer when it was not attached so long. */
  density: number[];
  lastDown: { node: number; reporters: number[]; atMs: number; apartMs: number; backAfterMs: number | null } | null;
  /** Unix milliseconds of now. */
  wallMs: number;
  keys: number;
}

export interface Scene {
  mode: Mode;
  /** Before the first picture: draw the dial and hollow nodes. */
  isLoading: boolean;
  trouble: Trouble | null;
  /** Of one field of the composer. */
  fieldTrouble: { field: "key" | "value"; trouble: Trouble } | null;
  picture: ClusterPicture | null;
  selectedKey: string | null;
  keyPicture: KeyPicture | null;
  selectedNode: number | null;
  nodePicture: NodePicture | null;
  /** The request that is followed, and all of them, oldest first. */
  followed: number | null;
  requests: RequestModel[];
  flights: Flight[];
  marks: TimelineMark[];
  verdict: Verdict | null;
  nowUs: number;
  events: number;
  isPlaying: boolean;
  /** On its way to the end, to a link's moment or back, and how far; `null` if it only plays or stands. */
  running: Running | null;
  /** 0.1 to 100. */
  speed: number;
  seed: string;
  digest: string;
  live: LiveFacts | null;
  /** What the composer holds. */
  draft: { verb: Verb; key: string; value: string; through: number; w: number | null; r: number | null };
  view: "cluster" | "request";
}

/** What the user can make happen. Names of nodes are their places in `picture.nodes`. */
export interface Actions {
  /** Sends what the composer holds; `false` if it was refused, which is said in its place. */
  send(): boolean;
  setDraft(part: Partial<Scene["draft"]>): void;
  selectKey(key: string | null): void;
  selectNode(node: number | null): void;
  follow(request: number | null): void;
  setView(view: Scene["view"]): void;
  crashOrRevive(node: number): void;
  /** Cuts one node off from all others, or ends its cuts. */
  cutOrHeal(node: number): void;
  cutHalves(one: number[], other: number[]): void;
  healAll(): void;
  slow(node: number, ms: number): void;
  loss(node: number, permille: number): void;
  setKeyspace(part: { n?: number; r?: number; w?: number; resolve?: Resolve }): boolean;
  /** A put whose context covers all siblings of the selected key; `false` if it was refused. */
  merge(value: string): boolean;
  play(): void;
  pause(): void;
  step(): void;
  /** To before the last event. The world is made again up to there, see `running`. */
  stepBack(): void;
  /** To the end of the script and its judgement. */
  runToEnd(): void;
  /** Another world: the run that the seed alone makes, faults and clients included, to its end. */
  runSeed(): void;
  /** Ends what is `running`, where it is. */
  halt(): void;
  setSpeed(speed: number): void;
  startAgain(seed?: string): void;
  /** A run that comes with the page, to look at where there is no cluster. */
  openRecorded(): void;
  /** `shown`: it is in the address bar only; `none`: there is none. */
  copyLink(): Promise<"copied" | "shown" | "none">;
  setMode(mode: Mode, address?: string): void;
}
