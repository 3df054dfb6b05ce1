/**
 * Kvorum in JavaScript: an embedded key-value store, and a whole simulated cluster, both of the very core that the
 * server runs.
 *
 * Units: virtual times are microseconds since the start of the world unless a name says `Ms`. Seeds and hashes are
 * bigint or hex text, never number.
 */

// ---------------------------------------------------------------------------------------------- loading and errors

/** Where the WebAssembly module comes from, if not from beside the package: bytes, a module, a response or an URL. */
export interface LoadOptions {
  wasm?: BufferSource | WebAssembly.Module | Response | Promise<Response> | URL | string;
}

/** Loads the module once; `open` and `create` call it themselves. Give `wasm` before the first of them. */
export function load(options?: LoadOptions): Promise<void>;

/** What the caller can do about it is in `code`; what happened is in `message`. */
export type KvorumErrorCode =
  | "INVALID_ARGUMENT" // not done: a wrong key, value or option; the message names it and its limit
  | "CLOSED" // not done: the store or cluster was closed
  | "NOT_DONE" // not done: too few nodes, overloaded, too late; may be tried again if `retryable`
  | "IN_DOUBT" // nobody knows: it was sent, and too few answered in time
  | "BAD_SCRIPT" // not done: the text is no script; the message names the line
  | "SCRIPT_FULL" // not done: no more can be done to that cluster; create it anew
  | "STORAGE_UNAVAILABLE" // not done: that kind of storage does not exist here
  | "LOAD_FAILED" // the module could not be loaded or compiled
  | "PANICKED"; // the module has stopped for good; load the page (or start the worker) anew

export class KvorumError extends Error {
  private constructor();
  readonly code: KvorumErrorCode;
  /** The same call may succeed soon. */
  readonly retryable: boolean;
  /** The word by which a node of a cluster refused, as in RESP ("CLUSTERDOWN", "TRYAGAIN", …); `null` if none did. */
  readonly refusal: string | null;
  /** What is wrong with a script, with code BAD_SCRIPT; `null` otherwise. */
  readonly script: ScriptFault | null;
}
/** The first line of a script that is wrong. */
export interface ScriptFault {
  /** Counted from 1. */
  line: number;
  problem: ScriptProblem;
  /** The words that it is wrong with; empty with `tooLong`. */
  found: string;
  /** The most that there may be, with `tooLong` (lines), `noNode` (the last node) and `tooLarge`. */
  most?: number;
}
export type ScriptProblem =
  | "noLine"
  | "tooLong"
  | "noTime"
  | "noAction"
  | "noNode"
  | "noNumber"
  | "tooLarge"
  | "noWord"
  | "noOption";

// ---------------------------------------------------------------------------------------------------- the store

export type Bytes = Uint8Array;
/** Text is taken as UTF-8. */
export type BytesLike = string | Uint8Array;

export interface StoreOptions extends LoadOptions {
  /** Only memory for now: what is written is gone when the store is closed. */
  storage: "memory";
  /** Bytes of a memtable (default 4 MiB). */
  memtableBytes?: number;
}
export interface IteratorOptions {
  gte?: BytesLike;
  gt?: BytesLike;
  lt?: BytesLike;
  lte?: BytesLike;
  prefix?: BytesLike;
  reverse?: boolean;
  limit?: number;
}
export type BatchOperation =
  | { type: "put"; key: BytesLike; value: BytesLike }
  | { type: "del"; key: BytesLike };

/** One engine: commit log, memtable, SSTables. Keys to 65,535 bytes, values to 16 MiB. */
export class Store {
  private constructor();
  static open(options: StoreOptions): Promise<Store>;
  readonly storage: "memory";
  put(key: BytesLike, value: BytesLike): Promise<void>;
  /** `undefined` if it is not there. */
  get(key: BytesLike): Promise<Bytes | undefined>;
  del(key: BytesLike): Promise<void>;
  has(key: BytesLike): Promise<boolean>;
  getMany(keys: readonly BytesLike[]): Promise<(Bytes | undefined)[]>;
  /** All of it or nothing. */
  batch(operations: readonly BatchOperation[]): Promise<void>;
  /** In order of the keys' bytes; sees the store as it was when the first entry was asked for. */
  iterator(options?: IteratorOptions): AsyncIterableIterator<[Bytes, Bytes]>;
  /** Afterwards every call fails with `CLOSED`. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

// --------------------------------------------------------------------------------------------------- the cluster

export type Resolve = "lww" | "siblings";

/**
 * With a seed alone: the run that `kvorum sim --seed` makes, options drawn and faults included. With `nodes` or any
 * other option: a calm cluster whose faults you make yourself.
 */
export interface ClusterOptions extends LoadOptions {
  /** 64 bits; a number must be a safe integer. */
  seed: bigint | string | number;
  /** 1 to 50 (default 5). */
  nodes?: number;
  /** Replicas of each key, at most `nodes` (default 3, or `nodes` if they are fewer). */
  n?: number;
  /** Answers that a read waits for, at most `n` (default 2, or `n` if that is less). */
  r?: number;
  /** Acknowledgements that a write waits for, at most `n` (default 2, or `n` if that is less). */
  w?: number;
  /** What becomes of concurrent values (default "siblings"). */
  resolve?: Resolve;
  /** Q, a power of two from 64 to 16,384 (default 64). */
  partitions?: number;
  /** Bytes of a memtable: small ones make flushes and compactions happen soon (default 64 KiB). */
  memtableBytes?: number;
  /** A script as `script()` printed it: replayed, then yours to go on with. */
  script?: string;
  /** Keep packed events for `subscribe` (default true). */
  events?: boolean;
}

export type NodeRef = string | number; // "n0" or 0

/** One value of a key. */
export interface Sibling {
  /** `null` in a tombstone. */
  value: Bytes | null;
  /** Who wrote it and its number there: "n0·3". */
  dot: string;
  expiresAtMs: number | null;
}
export interface ReadResult {
  /** More than one if they are concurrent and the keyspace keeps siblings. */
  siblings: Sibling[];
  /** Hand it to the put that resolves them. `null` when the key was never written. */
  context: string | null;
  /** Answers that were waited for. */
  acks: number;
}
export interface WriteResult {
  acks: number;
  /** How many of them are hints, kept by fallbacks. */
  hinted: number;
}
export interface AskOptions {
  /**
   * `false`: nothing runs now; the promise settles in a later `step` or `run`. By default the cluster runs until the
   * answer has come, and before the first request of a calm one until it has formed.
   */
  run?: boolean;
}
export interface PutOptions extends AskOptions {
  /** From an earlier get through any node. */
  context?: string | null;
  /** Acknowledgements that this write waits for; more than a key has owners means all of them. */
  w?: number;
  ttlMs?: number;
}

export interface GetOptions extends AskOptions {
  /** Answers that this read waits for; more than a key has owners means all of them. */
  r?: number;
}
export interface DelOptions extends AskOptions {
  context?: string | null;
  /** As of a put. */
  w?: number;
}

/** Asks one node; the cluster runs until the answer has come. */
export interface ClusterClient {
  readonly node: string;
  put(key: BytesLike, value: BytesLike, options?: PutOptions): Promise<WriteResult>;
  get(key: BytesLike, options?: GetOptions): Promise<ReadResult>;
  del(key: BytesLike, options?: DelOptions): Promise<WriteResult>;
}

export interface Faults {
  /** The process dies; `power: true` loses or tears what was not synced as well. */
  crash(node: NodeRef, options?: { power?: boolean }): void;
  restart(node: NodeRef): void;
  /** Nothing goes between the two sides any more, in both directions. */
  cut(one: readonly NodeRef[], other: readonly NodeRef[]): void;
  /** Ends all cuts (or those between the two sides). */
  heal(one?: readonly NodeRef[], other?: readonly NodeRef[]): void;
  /** Each message to or from the node takes so much longer; 0 ends it. */
  slow(node: NodeRef, ms: number): void;
  /** So many of a thousand messages to or from the node are lost; 0 ends it. */
  loss(node: NodeRef, permille: number): void;
}

export type Goal =
  | { until: number | "end"; events?: never; budgetMs?: number }
  | { events: number; until?: never; budgetMs?: number };

/** Packed events, laid out as README.md says under "Packed events". The string table's entries are among them. */
export interface EventBatch {
  words: Uint32Array;
}

export class Cluster {
  private constructor();
  static create(options: ClusterOptions): Promise<Cluster>;
  client(node: NodeRef): ClusterClient;
  readonly fault: Faults;
  /** Virtual microseconds. */
  readonly now: number;
  /** Things that have happened. */
  readonly eventCount: number;
  /** Does the next thing; `false` if it lies beyond `until` (default: without end). */
  step(until?: number): boolean;
  /**
   * Goes on to a virtual time, to the end of the script and its judgement, to a count of events; or, with `budgetMs`,
   * until so much real time has gone by. `reached` says whether the goal was.
   */
  run(goal: Goal): { reached: boolean };
  /** Hash over all events so far, 32 hex digits. */
  digest(): string;
  /** What was done so far and is still to come: with the same seed and options it makes the same run. */
  script(): string;
  /** Options as they are, for a link. */
  options(): ResolvedOptions;
  verdicts(): Verdict;
  /** The whole cluster, one node, one key. */
  inspect(): ClusterPicture;
  inspect(what: { node: NodeRef; key?: BytesLike }): NodePicture;
  inspect(what: { key: BytesLike }): KeyPicture;
  /** Messages under way, packed: `FLIGHT_FIELDS` numbers for each, which say what they are. */
  flights(): Float64Array;
  /** Calls back with the events of each step or run, after it. Returns what ends it. */
  subscribe(listener: (batch: EventBatch) => void): () => void;
  close(): void;
}

export interface ResolvedOptions {
  seed: string;
  nodes: number;
  n: number;
  r: number;
  w: number;
  resolve: Resolve;
  partitions: number;
  memtableBytes: number;
  /** Options were drawn from the seed. */
  drawn: boolean;
}

/** One violation ends a run. */
export interface Violation {
  checker: string; // "C2"
  atUs: number;
  text: string;
}
export interface Verdict {
  violations: Violation[];
  /** Requests that were acknowledged as done, of those asked. */
  acknowledged: number;
  asked: number;
  /** Times that a node was declared Down, all of them with enough reporters unless C8 is violated. */
  downs: number;
  epochs: number;
  /** What the checkers cannot judge before the cluster is at rest: hints that wait, partitions whose owners differ. */
  hintsWaiting: number;
  partitionsDiffering: number;
  /** Whether the script ran to its end and the settled cluster was judged. */
  isFinal: boolean;
  /**
   * Whether lost acknowledged writes and deleted values that came back were looked for: only at the end, and not where
   * nothing is promised of them ("lww" with a W below the majority).
   */
  isLossJudged: boolean;
}

// ------------------------------------------------------------------------------------------------------ pictures
// Nodes are named by their place in `ClusterPicture.nodes`.

export type NodeState = "up" | "suspect" | "down" | "paused" | "stopped" | "joining" | "refilling";

export interface ClusterPicture {
  nowUs: number;
  events: number;
  digest: string;
  epoch: number;
  keyspace: { n: number; r: number; w: number; resolve: Resolve };
  nodes: NodeSummary[];
  /** By partition: its owners, the primary first. Empty before the cluster was born. */
  owners: number[][];
  /** Partitions under way to other owners. */
  moving: number[];
  /** Links that are cut, from and to. */
  cuts: [number, number][];
  /** Who suspects whom. */
  suspicions: Suspicion[];
  requests: { asked: number; done: number };
}

export interface NodeSummary {
  name: string;
  /**
   * Its number in the cluster, by which events of its machines (kinds from 30) name it; `null` while it is no member.
   * Events of a simulated world (kinds below 30) name nodes by their place.
   */
  member: number | null;
  /** As the others see it, except that `stopped` and `paused` are what is so. */
  state: NodeState;
  /** Its process runs, as far as is known: `crash` and `restart` go by it. */
  isRunning: boolean;
  /** Who reports it, or reported it when it went Down; and how many distinct ones that takes. */
  reporters: number[];
  reportersNeeded: number;
  partitions: number;
  memtableBytes: number;
  memtableBytesMax: number;
  hints: number;
  slowMs: number;
  lossPermille: number;
  keys: number;
  listen: string;
  admin: string;
}

export interface Suspicion {
  by: number;
  of: number;
  /** By its own failed probes; else it has heard of it. */
  own: boolean;
}

export interface NodePicture {
  name: string;
  state: NodeState;
  shards: ShardPicture[];
  hints: HintPicture[];
  /** Each partition that it holds, with whether its tree differs from another owner's. */
  repair: { partition: number; differs: boolean; moving: boolean }[];
}

export interface ShardPicture {
  log: LogPicture;
  memtable: MemtablePicture;
  /** Level 0 first; a level is a list of sorted runs, newest first. */
  levels: TablePicture[][][];
  tableBytes: number;
  tableCount: number;
  /** How the key that was asked for would be read now; empty without one. */
  read: ReadStep[];
  /** Where that key lies on the axis of keys, from 0 to 1. */
  keyAt: number | null;
}
export interface LogPicture {
  segment: number;
  segmentBytes: number;
  segmentBytesMax: number;
  /** Counted from the start of the engine. */
  issued: number;
  written: number;
  synced: number;
}
export interface MemtablePicture {
  bytes: number;
  bytesMax: number;
  entries: number;
  /** Memtables that are full and wait for their flush, with their bytes. */
  frozen: number[];
  /** Neighbours of the key that was asked for, in order. */
  neighbours: { key: string; isKey: boolean }[];
}
export interface TablePicture {
  number: number;
  bytes: number;
  entries: number;
  /** Part of the entries that are tombstones, 0 to 1. */
  dead: number;
  /** On the axis of keys, 0 to 1. */
  first: number;
  last: number;
  firstKey: string;
  lastKey: string;
}
export interface ReadStep {
  place: "rows" | "memtable" | "frozen" | "table";
  level?: number;
  run?: number;
  table?: number;
  /**
   * `range`: the key lies outside; `no`: the filter's answer; `falsePositive`: the filter said maybe, and the key is not
   * there; `notReached`: found before.
   */
  answer: "absent" | "found" | "no" | "falsePositive" | "range" | "notReached" | "damaged";
}
/** Hints for one member about one partition. */
export interface HintPicture {
  target: number;
  partition: number;
  count: number;
}

export interface KeyPicture {
  key: string;
  slot: number;
  partition: number;
  /**
   * Clockwise: the N owners, all at the key's own partition, then what lies behind it as far as the fallbacks in use;
   * with none in use, as far as the first that could be. One that could not be (Down, say) is named on the way, as
   * `fallback`.
   */
  walk: WalkStep[];
  copies: CopyPicture[];
  /** All that is held anywhere, merged. */
  siblings: SiblingPicture[];
  /** What all siblings have seen, by actor. */
  common: { actor: string; counter: number }[];
  actors: string[];
}
export interface WalkStep {
  partition: number;
  node: number;
  role: "owner" | "taken" | "fallback";
  /** Its place among the owners, from 1. */
  place: number | null;
}
export interface CopyPicture {
  node: number;
  /** For which owner it keeps it as a hint. */
  hintFor: number | null;
  siblings: number;
  /** It has seen all that the merged cell has. */
  isCurrent: boolean;
  /** On the disk for sure. */
  isSynced: boolean;
}
export interface SiblingPicture {
  /** Text if it is UTF-8 and short, else its length: "1,024 bytes". `null` in a tombstone. */
  value: string | null;
  dot: string;
  actor: string;
  counter: number;
  stampMs: number;
  expiresAtMs: number | null;
}

/**
 * `flights()`: `FLIGHT_FIELDS` numbers for each message: id, from, to, kind, sent at, arrives at (µs), request (0: none).
 * What is lost or stops at a cut never is under way: its event `Lost` says so.
 */
export const FLIGHT_FIELDS: 7;
/** Names of message kinds by number, as in events. */
export const MESSAGE_KINDS: Readonly<Record<number, string>>;
