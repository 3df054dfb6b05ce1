/**
 * Reads trace events, the packed words of `core/src/base/trace.rs`, into values.
 *
 *  word 0        1       2..4        4          5..
 *  ├ len ‖ kind ─┼ node ─┼ time µs ──┼ payload words …
 *
 * Knows the format and nothing of what events mean together. Kinds that the page shows nothing of, or that a newer core
 * has, are passed over; a record that is longer than known is read as far as it is known, a shorter one is passed over.
 */
import { trim } from "./trim.ts";

/** Recorded numbers of the kinds that are read: as in core, never changed. */
export const KIND = {
  string: 1,
  sent: 10,
  received: 11,
  lost: 12,
  crashed: 13,
  restarted: 14,
  link: 15,
  opStarted: 16,
  opEnded: 17,
  slowed: 18,
  lossy: 19,
  requestStarted: 30,
  replicaAsked: 31,
  replicaAnswered: 32,
  requestEnded: 33,
  restamped: 34,
  plannedAgain: 36,
  stamped: 37,
  cellMerged: 50,
  hintStored: 51,
  hintDelivered: 52,
  logSynced: 71,
  suspected: 90,
  wentDown: 91,
  cameUp: 92,
} as const;

interface At {
  /** The node it is about; `NODE_UNKNOWN` for one that is no member yet. */
  node: number;
  /** Microseconds: of the world, or since a live node's start. */
  us: number;
}

/** What a node that has no number yet writes in its place. */
export const NODE_UNKNOWN = 0xffff_ffff;

export type TraceEvent = At &
  (
    | { kind: "string"; name: number; text: string }
    | { kind: "sent" | "received"; id: bigint; from: number; to: number; message: number; bytes: number; request: bigint }
    | { kind: "lost"; id: bigint; from: number; to: number; why: "loss" | "cut" | "down" | "full" }
    | { kind: "crashed"; how: "killed" | "power" | "paused" | "wiped" }
    | { kind: "restarted" }
    | { kind: "link"; from: number; to: number; isCut: boolean }
    | { kind: "opStarted"; op: number; verb: "get" | "put" | "del" | "expire"; key: number | null }
    | { kind: "opEnded"; op: number; outcome: "done" | "notDone" | "unknown" }
    | { kind: "slowed"; ms: number }
    | { kind: "lossy"; permille: number }
    | {
        kind: "requestStarted";
        request: bigint;
        verb: "read" | "write" | "forward" | "final";
        partition: number;
        key: number;
        /** Votes that decide it: among the owners, and among those to come while the partition moves. */
        needed: number;
        /** The member that handed it over; `null` if a client of the node asks. */
        handedBy: number | null;
        /** What whoever asks calls it. */
        asker: bigint;
      }
    | { kind: "replicaAsked"; request: bigint; member: number; hedged: boolean; standsFor: number | null }
    | { kind: "replicaAnswered"; request: bigint; member: number; answer: Answer }
    | { kind: "requestEnded"; request: bigint; outcome: "done" | "notDone" | "unknown"; acks: number; hinted: number }
    | { kind: "restamped" | "plannedAgain"; request: bigint; again: bigint }
    | { kind: "stamped"; request: bigint; stamp: bigint; member: number }
    | { kind: "cellMerged"; partition: number; key: number; siblings: number; changed: boolean }
    | { kind: "hintStored" | "hintDelivered"; target: number; partition: number; key: number }
    | { kind: "logSynced"; through: bigint }
    | { kind: "suspected"; target: number; reporter: number; incarnation: bigint }
    | { kind: "wentDown"; target: number; reporters: number[]; incarnation: bigint }
    | { kind: "cameUp"; target: number; incarnation: bigint }
  );

export type Answer = "ack" | "absent" | "cell" | "behind" | "refused" | "lostToStamp" | "inDoubt";

const ANSWERS: readonly Answer[] = ["ack", "absent", "cell", "behind", "refused", "lostToStamp", "inDoubt"];
const LOST = ["loss", "cut", "down", "full"] as const;
const CRASHED = ["killed", "power", "paused", "wiped"] as const;
const VERBS = ["read", "write", "forward", "final"] as const;
const OUTCOMES = ["done", "notDone", "unknown"] as const;
const OPS = ["get", "put", "del", "expire"] as const;

/** A u64 of two words, low first. */
export function join(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

/** One record, as words: `payload` starts behind the time. */
class Payload {
  readonly #words: Uint32Array;
  readonly #start: number;
  readonly count: number;

  constructor(words: Uint32Array, start: number, end: number) {
    this.#words = words;
    this.#start = start;
    this.count = end - start;
  }

  word(at: number): number {
    return at < this.count ? (this.#words[this.#start + at] ?? 0) : 0;
  }

  long(at: number): bigint {
    return join(this.word(at), this.word(at + 1));
  }

  /** A u64 that stays far below 2^53: a count or a time. */
  count53(at: number): number {
    return this.word(at) + this.word(at + 1) * 2 ** 32;
  }

  /** The member numbers of a bit set. */
  members(at: number): number[] {
    const bits = this.long(at);
    const members: number[] = [];
    for (let member = 0; member < 64; member++) {
      if ((bits >> BigInt(member)) & 1n) members.push(member);
    }
    return members;
  }

  /** `length` bytes from a word on. They are the first 64 of a key, so the last character may be cut. */
  text(at: number): string {
    const length = Math.min(this.word(at), (this.count - at - 1) * 4);
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) {
      bytes[index] = (this.word(at + 1 + (index >> 2)) >>> ((index & 3) * 8)) & 0xff;
    }
    return textOf(bytes);
  }
}

/** Text if it is UTF-8, but for a last character that was cut off; else the bytes in hex. */
export function textOf(bytes: Uint8Array): string {
  try {
    // As of a stream: a character that is not whole yet is no error, and is held back.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true });
    return UTF8.encode(text).length < bytes.length ? `${text}…` : text;
  } catch {
    return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
}

const UTF8 = new TextEncoder();

/** Reads records from words that may be anything; ends at the first that is none. */
export function* events(words: Uint32Array): Generator<TraceEvent> {
  let at = 0;
  while (at < words.length) {
    const head = words[at] ?? 0;
    const length = head >>> 16;
    if (length < 4 || at + length > words.length) return;
    const event = decode(
      head & 0xffff,
      {
        node: words[at + 1] ?? 0,
        us: (words[at + 2] ?? 0) + (words[at + 3] ?? 0) * 2 ** 32,
      },
      new Payload(words, at + 4, at + length),
    );
    if (event !== null) yield event;
    at += length;
  }
}

/** Fewest words of a kind that say what the page has to know. */
const PAYLOAD_WORDS_MIN: Readonly<Record<number, number>> = {
  [KIND.string]: 2,
  [KIND.sent]: 5,
  [KIND.received]: 5,
  [KIND.lost]: 5,
  [KIND.crashed]: 1,
  [KIND.restarted]: 0,
  [KIND.link]: 3,
  [KIND.opStarted]: 4,
  [KIND.opEnded]: 3,
  [KIND.slowed]: 1,
  [KIND.lossy]: 1,
  [KIND.requestStarted]: 10,
  [KIND.replicaAsked]: 5,
  [KIND.replicaAnswered]: 4,
  [KIND.requestEnded]: 5,
  [KIND.restamped]: 4,
  [KIND.plannedAgain]: 4,
  [KIND.stamped]: 5,
  [KIND.cellMerged]: 4,
  [KIND.hintStored]: 3,
  [KIND.hintDelivered]: 3,
  [KIND.logSynced]: 2,
  [KIND.suspected]: 4,
  [KIND.wentDown]: 5,
  [KIND.cameUp]: 3,
};

function decode(kind: number, at: At, p: Payload): TraceEvent | null {
  const least = PAYLOAD_WORDS_MIN[kind];
  if (least === undefined || p.count < least) return null;
  switch (kind) {
    case KIND.string:
      return { ...at, kind: "string", name: p.word(0), text: p.text(1) };
    case KIND.sent:
    case KIND.received:
      return {
        ...at,
        kind: kind === KIND.sent ? "sent" : "received",
        id: p.long(0),
        from: p.word(2),
        to: p.word(3),
        message: p.word(4),
        bytes: p.word(5),
        request: p.long(6),
      };
    case KIND.lost:
      return { ...at, kind: "lost", id: p.long(0), from: p.word(2), to: p.word(3), why: LOST[p.word(4)] ?? "loss" };
    case KIND.crashed:
      return { ...at, kind: "crashed", how: CRASHED[p.word(0)] ?? "killed" };
    case KIND.restarted:
      return { ...at, kind: "restarted" };
    case KIND.link:
      return { ...at, kind: "link", from: p.word(0), to: p.word(1), isCut: p.word(2) === 0 };
    case KIND.opStarted:
      return { ...at, kind: "opStarted", op: p.count53(0), verb: OPS[p.word(2)] ?? "put", key: p.count > 4 ? p.word(4) : null };
    case KIND.opEnded:
      return { ...at, kind: "opEnded", op: p.count53(0), outcome: OUTCOMES[p.word(2)] ?? "unknown" };
    case KIND.slowed:
      return { ...at, kind: "slowed", ms: p.word(0) };
    case KIND.lossy:
      return { ...at, kind: "lossy", permille: p.word(0) };
    case KIND.requestStarted:
      return {
        ...at,
        kind: "requestStarted",
        request: p.long(0),
        verb: VERBS[p.word(2)] ?? "write",
        partition: p.word(3),
        key: p.word(4),
        needed: Math.max(p.word(5), p.word(6)),
        handedBy: p.word(7) === 0 ? null : p.word(7) - 1,
        asker: p.long(8),
      };
    case KIND.replicaAsked:
      return {
        ...at,
        kind: "replicaAsked",
        request: p.long(0),
        member: p.word(2),
        hedged: p.word(3) !== 0,
        standsFor: p.word(4) === 0 ? null : p.word(4) - 1,
      };
    case KIND.replicaAnswered:
      return {
        ...at,
        kind: "replicaAnswered",
        request: p.long(0),
        member: p.word(2),
        answer: ANSWERS[p.word(3)] ?? "refused",
      };
    case KIND.requestEnded:
      return {
        ...at,
        kind: "requestEnded",
        request: p.long(0),
        outcome: OUTCOMES[p.word(2)] ?? "unknown",
        acks: p.word(3),
        hinted: p.word(4),
      };
    case KIND.restamped:
    case KIND.plannedAgain:
      return {
        ...at,
        kind: kind === KIND.restamped ? "restamped" : "plannedAgain",
        request: p.long(0),
        again: p.long(2),
      };
    case KIND.stamped:
      return { ...at, kind: "stamped", request: p.long(0), stamp: p.long(2), member: p.word(4) };
    case KIND.cellMerged:
      return {
        ...at,
        kind: "cellMerged",
        ...cellMerged(p),
      };
    case KIND.hintStored:
    case KIND.hintDelivered:
      return {
        ...at,
        kind: kind === KIND.hintStored ? "hintStored" : "hintDelivered",
        target: p.word(0),
        partition: p.word(1),
        key: p.word(2),
      };
    case KIND.logSynced:
      return { ...at, kind: "logSynced", through: p.long(0) };
    case KIND.suspected:
      return { ...at, kind: "suspected", target: p.word(0), reporter: p.word(1), incarnation: p.long(2) };
    case KIND.wentDown:
      return { ...at, kind: "wentDown", target: p.word(0), reporters: p.members(1), incarnation: p.long(3) };
    case KIND.cameUp:
      return { ...at, kind: "cameUp", target: p.word(0), incarnation: p.long(1) };
    default:
      return null;
  }
}

function cellMerged(p: Payload): { partition: number; key: number; siblings: number; changed: boolean } {
  return { partition: p.word(0), key: p.word(1), siblings: p.word(2), changed: p.word(3) !== 0 };
}

/** Names of keys by their word, the latest so many. */
export class Strings {
  readonly #texts = new Map<number, string>();
  readonly #countMax: number;

  /** 10,000 keys of 64 bytes are under a megabyte. */
  constructor(countMax = 10_000) {
    this.#countMax = countMax;
  }

  add(name: number, text: string): void {
    this.#texts.delete(name);
    this.#texts.set(name, text);
    trim(this.#texts, this.#countMax);
  }

  /** A key that was named by nobody yet is shown by its word. */
  text(name: number): string {
    return this.#texts.get(name) ?? `#${name.toString(16).padStart(8, "0")}`;
  }
}
