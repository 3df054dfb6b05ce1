/**
 * Pictures of a live node come over a network: every field is looked at before it is believed. Sizes are bounded by the
 * length of the message, which the engine bounds.
 */
import type {
  ClusterPicture,
  CopyPicture,
  HintPicture,
  KeyPicture,
  LogPicture,
  MemtablePicture,
  NodePicture,
  NodeState,
  NodeSummary,
  ReadStep,
  Resolve,
  ShardPicture,
  SiblingPicture,
  Suspicion,
  TablePicture,
  WalkStep,
} from "kvorum";
import { isRecord } from "./json.ts";

/** The message is not what this build of the page understands. */
export class Malformed extends Error {}

type Read<T> = (value: unknown, path: string) => T;

const malformed = (path: string, what: string): never => {
  throw new Malformed(`${path} is no ${what}`);
};

const text: Read<string> = (value, path) => (typeof value === "string" ? value : malformed(path, "text"));
const flag: Read<boolean> = (value, path) => (typeof value === "boolean" ? value : malformed(path, "yes or no"));
const amount: Read<number> = (value, path) =>
  typeof value === "number" && Number.isFinite(value) ? value : malformed(path, "number");
const place: Read<number> = (value, path) =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : malformed(path, "place");

function orNull<T>(read: Read<T>): Read<T | null> {
  return (value, path) => (value === null || value === undefined ? null : read(value, path));
}

function maybe<T>(read: Read<T>): Read<T | undefined> {
  return (value, path) => (value === null || value === undefined ? undefined : read(value, path));
}

function list<T>(read: Read<T>): Read<T[]> {
  return (value, path) =>
    Array.isArray(value)
      ? value.map((item: unknown, index) => read(item, `${path}[${index}]`))
      : malformed(path, "list");
}

function oneOf<T extends string>(choices: readonly T[]): Read<T> {
  return (value, path) => choices.find((choice) => choice === value) ?? malformed(path, `${choices.join(" or ")}`);
}

const pair: Read<[number, number]> = (value, path) => {
  const [from, to] = list(place)(value, path);
  return from === undefined || to === undefined ? malformed(path, "pair") : [from, to];
};

/** An object of exactly these fields; others are passed over. A field that is `undefined` is left out. */
function object<T extends object>(fields: { [K in keyof T]-?: Read<T[K]> }): Read<T> {
  return (value, path) => {
    if (!isRecord(value)) return malformed(path, "object");
    const made: Partial<T> = {};
    for (const name in fields) {
      const part = fields[name](value[name], `${path}.${name}`);
      if (part !== undefined) made[name] = part;
    }
    // Every field was read by its own reader, so the whole is what it says.
    return made as T;
  };
}

const STATES: readonly NodeState[] = ["up", "suspect", "down", "paused", "stopped", "joining", "refilling"];
const RESOLVES: readonly Resolve[] = ["lww", "siblings"];

const nodeSummary = object<NodeSummary>({
  member: orNull(place),
  name: text,
  state: oneOf(STATES),
  isRunning: flag,
  reporters: list(place),
  reportersNeeded: place,
  partitions: place,
  memtableBytes: amount,
  memtableBytesMax: amount,
  hints: place,
  slowMs: amount,
  lossPermille: amount,
  keys: place,
  listen: text,
  admin: text,
});

export const clusterPicture = object<ClusterPicture>({
  nowUs: amount,
  events: amount,
  digest: text,
  epoch: amount,
  keyspace: object<ClusterPicture["keyspace"]>({ n: place, r: place, w: place, resolve: oneOf(RESOLVES) }),
  nodes: list(nodeSummary),
  owners: list(list(place)),
  moving: list(place),
  cuts: list(pair),
  suspicions: list(object<Suspicion>({ by: place, of: place, own: flag })),
  requests: object<ClusterPicture["requests"]>({ asked: amount, done: amount }),
});

const table = object<TablePicture>({
  number: amount,
  bytes: amount,
  entries: amount,
  dead: amount,
  first: amount,
  last: amount,
  firstKey: text,
  lastKey: text,
});

const shard = object<ShardPicture>({
  log: object<LogPicture>({
    segment: amount,
    segmentBytes: amount,
    segmentBytesMax: amount,
    issued: amount,
    written: amount,
    synced: amount,
  }),
  memtable: object<MemtablePicture>({
    bytes: amount,
    bytesMax: amount,
    entries: amount,
    frozen: list(amount),
    neighbours: list(object<MemtablePicture["neighbours"][number]>({ key: text, isKey: flag })),
  }),
  levels: list(list(list(table))),
  tableBytes: amount,
  tableCount: amount,
  read: list(
    object<ReadStep>({
      place: oneOf<ReadStep["place"]>(["rows", "memtable", "frozen", "table"]),
      level: maybe(place),
      run: maybe(place),
      table: maybe(amount),
      answer: oneOf<ReadStep["answer"]>(["absent", "found", "no", "falsePositive", "range", "notReached", "damaged"]),
    }),
  ),
  keyAt: orNull(amount),
});

export const nodePicture = object<NodePicture>({
  name: text,
  state: oneOf(STATES),
  shards: list(shard),
  hints: list(object<HintPicture>({ target: place, partition: place, count: place })),
  repair: list(object<NodePicture["repair"][number]>({ partition: place, differs: flag, moving: flag })),
});

export const keyPicture = object<KeyPicture>({
  key: text,
  slot: place,
  partition: place,
  walk: list(
    object<WalkStep>({
      partition: place,
      node: place,
      role: oneOf<WalkStep["role"]>(["owner", "taken", "fallback"]),
      place: orNull(place),
    }),
  ),
  copies: list(
    object<CopyPicture>({
      node: place,
      hintFor: orNull(place),
      siblings: place,
      isCurrent: flag,
      isSynced: flag,
    }),
  ),
  siblings: list(
    object<SiblingPicture>({
      value: orNull(text),
      dot: text,
      actor: text,
      counter: amount,
      stampMs: amount,
      expiresAtMs: orNull(amount),
    }),
  ),
  common: list(object<KeyPicture["common"][number]>({ actor: text, counter: amount })),
  actors: list(text),
});

/** The answer of `GET /picture`. */
export interface Pictures {
  cluster: ClusterPicture | null;
  node: NodePicture | null;
  key: KeyPicture | null;
}

export const pictures = object<Pictures>({
  cluster: orNull(clusterPicture),
  node: orNull(nodePicture),
  key: orNull(keyPicture),
});

/** The first message of an event stream. */
export interface FirstMessage {
  node: string;
  picture: ClusterPicture | null;
}

export const firstMessage = object<FirstMessage>({ node: text, picture: orNull(clusterPicture) });

/** What a node tells each second of what it leaves out. */
export interface Rates {
  sampled: number;
  ms: number;
  events: number;
  writes: number;
}

export const rates = object<Rates>({ sampled: amount, ms: amount, events: amount, writes: amount });
