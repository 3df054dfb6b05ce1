/**
 * Requests as their events tell of them: who was asked, who answered what and when, and the outcome.
 *
 * A put that enters at a node which owns nothing of its partition is two requests in the trace, one at the entry and
 * one at the owner that it was handed to; here they are one, whose legs and votes are the owner's.
 *
 * Knows no cluster: who owns what and which quorum holds is asked from a `Surroundings`.
 */
import { MESSAGE, isAnswer } from "./message-kinds.ts";
import { MessageNames } from "./message-names.ts";
import type { Put } from "../engine/script.ts";
import type { Leg, RequestModel, Verb } from "./scene.ts";
import { Syncs } from "./syncs.ts";
import { NODE_UNKNOWN, type Strings, type TraceEvent, textOf } from "./trace.ts";

/** Older ones are forgotten: a day of looking at a busy cluster must not fill the tab. */
export const REQUEST_COUNT_MAX = 2_000;
/** Bytes of a key that an event carries. */
const KEY_BYTES_TRACED = 64;

/** What the events themselves do not say. */
export interface Surroundings {
  /** Places of a partition's owners, the primary first; empty if unknown. */
  ownersOf(partition: number): readonly number[];
  /** Answers that a request waits for if it does not say. */
  quorum(verb: Verb): number;
  /** The place of a member by its number in events of nodes. */
  placeOf(member: number): number;
}

/** A request that the page itself made, as soon as it was made. */
export interface Asked {
  ask: number;
  verb: Verb;
  key: string;
  value: string | null;
  entry: number;
  /** Its own quorum, if it names one. */
  needed: number | null;
  atUs: number;
}

/** What its client was told. */
export interface Told {
  ask: number;
  outcome: "done" | "notDone" | "unknown";
  why: string | null;
  siblings: number;
  atUs: number;
}

interface Tracked {
  model: RequestModel;
  /** Its number at the page, while the client waits. */
  ask: number | null;
  /** Its number among the operations of a simulated cluster's clients. */
  op: number | null;
  /** Events have begun to tell of it. */
  hasStarted: boolean;
  /** Asks for an expiry: the node reads before it writes. */
  readsFirst: boolean;
  /** The entry hands it to an owner. */
  isForwarded: boolean;
  /** The owner that has it now. */
  handedTo: number | null;
  /** Names of it, at the entry and at the coordinator. */
  names: string[];
  keyWord: number | null;
  /** What was last shown of it: another object whenever something changes. */
  shown: RequestModel;
}

/** The events of one kind, some of which share a shape. */
type Of<K extends TraceEvent["kind"], E = TraceEvent> = E extends { kind: infer Kinds } ? (K extends Kinds ? E : never) : never;

export class Requests {
  readonly #strings: Strings;
  readonly #around: Surroundings;
  readonly #countMax: number;
  /** Oldest first. */
  #all: Tracked[] = [];
  readonly #byName = new Map<string, Tracked>();
  /** Names under which others have handed requests to a node, the latest last. */
  readonly #handed = new Map<number, string[]>();
  /** Ended for their clients before their node told how it came to that: the turn that ends a request tells of it last. */
  #untold: Tracked[] = [];
  readonly #messages = new MessageNames();
  readonly #asks = new Map<number, Tracked>();
  readonly #ops = new Map<number, Tracked>();
  /** Those that have not ended. */
  readonly #running = new Set<Tracked>();
  readonly #changed = new Set<Tracked>();
  readonly #syncs = new Syncs<{ tracked: Tracked; leg: Leg }>();
  /** Who is Down, by who thinks so. */
  readonly #downs = new Map<number, Set<number>>();
  /** Values that a script puts, by when and where. */
  readonly #puts = new Map<string, string>();
  #number = 0;
  #shown: RequestModel[] = [];
  #isChanged = false;

  constructor(strings: Strings, around: Surroundings, countMax = REQUEST_COUNT_MAX) {
    this.#strings = strings;
    this.#around = around;
    this.#countMax = countMax;
  }

  /** All that are remembered, oldest first. The same array and objects as long as nothing has changed. */
  models(): RequestModel[] {
    if (this.#isChanged) {
      this.#isChanged = false;
      for (const tracked of this.#changed) tracked.shown = copyOf(tracked.model);
      this.#changed.clear();
      this.#shown = this.#all.map((tracked) => tracked.shown);
    }
    return this.#shown;
  }

  /** The request that a message under way belongs to. */
  requestOfMessage(id: bigint): RequestModel | null {
    const number = this.#messages.requestOf(id);
    const first = this.#all[0]?.model.number ?? 0;
    return number === undefined ? null : (this.#all[number - first]?.model ?? null);
  }

  /** What a script puts: events carry no values. */
  scripted(puts: readonly Put[]): void {
    for (const put of puts) this.#puts.set(putName(put.atUs, put.node, tracedKey(put.key)), put.value);
  }

  /** The page has asked a node. Its events come later. */
  asked(asked: Asked): RequestModel {
    const tracked = this.#add({
      verb: asked.verb,
      key: asked.key,
      value: asked.value,
      entry: asked.entry,
      partition: -1,
      startedUs: asked.atUs,
      needed: asked.needed ?? this.#around.quorum(asked.verb),
    });
    tracked.ask = asked.ask;
    this.#asks.set(asked.ask, tracked);
    return tracked.model;
  }

  /** A client has its answer. A request without events ends here: it was refused at once. */
  told(told: Told): void {
    const tracked = this.#asks.get(told.ask);
    if (tracked === undefined) return;
    tracked.ask = null;
    this.#asks.delete(told.ask);
    const { model } = tracked;
    model.why = told.why;
    model.siblings = Math.max(model.siblings, told.siblings);
    this.#end(tracked, model.endedUs ?? told.atUs, told.outcome);
  }

  /** Requests that began before and have not ended: how they ended was not told, and is not going to be. */
  endOlder(beforeUs: number, nowUs: number): void {
    for (const tracked of this.#running) if (tracked.model.startedUs < beforeUs) this.#end(tracked, nowUs, "unknown");
  }

  on(event: TraceEvent): void {
    switch (event.kind) {
      case "opStarted":
        return this.#onOpStarted(event);
      case "opEnded":
        return this.#onOpEnded(event);
      case "requestStarted":
        return this.#onStarted(event);
      case "replicaAsked":
        return this.#onReplicaAsked(event);
      case "replicaAnswered":
        return this.#onReplicaAnswered(event);
      case "requestEnded":
        return this.#onEnded(event);
      case "restamped":
      case "plannedAgain":
        return this.#onNamedAgain(event);
      case "stamped":
        return this.#onStamped(event);
      case "cellMerged":
        return this.#onCellMerged(event);
      case "hintStored":
        return this.#onHintStored(event);
      case "logSynced":
        return this.#onLogSynced(this.#around.placeOf(event.node), event.us);
      case "sent":
        return this.#onSent(event);
      case "received":
        return this.#onReceived(event);
      case "crashed":
        return this.#onCrashed(event);
      case "wentDown":
        this.#downsOf(event.node).add(this.#around.placeOf(event.target));
        return;
      case "cameUp":
        this.#downsOf(event.node).delete(this.#around.placeOf(event.target));
        return;
      default:
        return;
    }
  }

  // --- what clients of a simulated cluster tell ---

  /** A client asks a node: what the node then begins for that key is for it. */
  #onOpStarted(event: Of<"opStarted">): void {
    if (event.key === null) return;
    const key = this.#strings.text(event.key);
    const verb = event.verb === "expire" ? "put" : event.verb;
    const isAsked = (one: Tracked): boolean =>
      one.op === null && one.model.entry === event.node && one.model.verb === verb && tracedKey(one.model.key) === key;
    const tracked =
      [...this.#asks.values()].find(isAsked) ??
      this.#add({
        verb,
        key,
        value: null,
        entry: event.node,
        partition: -1,
        startedUs: event.us,
        needed: this.#around.quorum(verb),
      });
    if (verb === "put") tracked.model.value ??= this.#puts.get(putName(event.us, event.node, key)) ?? null;
    tracked.op = event.op;
    tracked.readsFirst = event.verb === "expire";
    tracked.model.startedUs = event.us;
    this.#ops.set(event.op, tracked);
    this.#mark(tracked);
  }

  #onOpEnded(event: Of<"opEnded">): void {
    const tracked = this.#ops.get(event.op);
    this.#ops.delete(event.op);
    if (tracked === undefined || tracked.model.endedUs !== null) return;
    this.#end(tracked, event.us, event.outcome);
    this.#untold = this.#untold.filter((one) => one.model.endedUs === event.us);
    if (!tracked.hasStarted) this.#untold.push(tracked);
  }

  // --- what coordinators tell ---

  #onStarted(event: Of<"requestStarted">): void {
    const node = this.#around.placeOf(event.node);
    const key = this.#strings.text(event.key);
    const isWrite = event.verb !== "read";
    const handed = isWrite && event.verb !== "forward" ? this.#handedTo(node, event) : undefined;
    if (handed !== undefined) {
      // The owner begins, maybe anew with a later stamp: what was said to an earlier copy counts for nothing.
      handed.model.coordinator = node;
      handed.model.legs = [];
      handed.model.votes = [];
      handed.model.needed = event.needed;
      handed.model.decidedUs = null;
      this.#name(handed, event);
      return this.#mark(handed);
    }
    const waits = (one: Tracked): boolean =>
      !one.hasStarted &&
      one.model.entry === node &&
      ((one.model.verb === "get") !== isWrite || one.readsFirst) &&
      tracedKey(one.model.key) === key;
    const tracked =
      this.#untold.find((one) => one.model.endedUs === event.us && waits(one)) ??
      [...this.#running].find(waits) ??
      this.#add({
        verb: isWrite ? "put" : "get",
        key,
        value: null,
        entry: node,
        partition: event.partition,
        startedUs: event.us,
        needed: event.needed,
      });
    // An expiry is set on what was read: only its write is the request itself, unless there was nothing to set it on.
    tracked.hasStarted = isWrite || !tracked.readsFirst;
    if (tracked.readsFirst) [tracked.model.legs, tracked.model.votes] = [[], []];
    tracked.model.needed = event.needed;
    tracked.keyWord = event.key;
    tracked.isForwarded = event.verb === "forward";
    tracked.model.partition = event.partition;
    tracked.model.coordinator = tracked.isForwarded ? null : node;
    const downs = this.#downsOf(event.node);
    tracked.model.skipped = this.#around.ownersOf(event.partition).filter((owner) => downs.has(owner));
    this.#name(tracked, event);
    this.#mark(tracked);
  }

  /**
   * The request that was handed to `node`, or that its entry takes over itself. An owner begins in the very turn in which the
   * message came: two of one key are told apart by that.
   */
  #handedTo(node: number, event: Of<"requestStarted">): Tracked | undefined {
    const isOfIt = (one: Tracked | undefined): one is Tracked =>
      one !== undefined && one.isForwarded && one.keyWord === event.key && one.model.partition === event.partition;
    const came = this.#handed.get(node) ?? [];
    const last = came.findLastIndex((name) => isOfIt(this.#byName.get(name)));
    const [name] = last < 0 ? [] : came.splice(last, 1);
    if (name !== undefined) return this.#byName.get(name);
    const running = [...this.#running].filter((one) => isOfIt(one) && (one.handedTo === node || one.model.entry === node));
    return running.find((one) => one.names.length === 1) ?? running[0];
  }

  #onHanded(event: Of<"received">): void {
    const came = this.#handed.get(event.to) ?? [];
    came.push(nameOf(event.from, event.request));
    this.#handed.set(event.to, came.slice(-HANDED_COUNT_MAX));
  }

  #onReplicaAsked(event: Of<"replicaAsked">): void {
    const tracked = this.#named(event);
    if (tracked === undefined) return;
    const node = this.#around.placeOf(event.member);
    if (tracked.isForwarded && tracked.model.entry === this.#around.placeOf(event.node) && !this.#isCoordinatorsOwn(tracked, event)) {
      tracked.handedTo = node;
      tracked.model.coordinator = node;
    } else {
      const known = tracked.model.legs.find((leg) => leg.node === node);
      if (known === undefined) {
        this.#leg(tracked, node, event.us, {
          hedged: event.hedged,
          standsFor: event.standsFor === null ? null : this.#around.placeOf(event.standsFor),
        });
      } else {
        // Sent again: the leg keeps its beginning.
        known.hedged ||= event.hedged;
      }
    }
    this.#mark(tracked);
  }

  /** The entry took the request over: its events are a coordinator's from then on. */
  #isCoordinatorsOwn(tracked: Tracked, event: { node: number; request: bigint }): boolean {
    return tracked.names.length > 1 && tracked.names.indexOf(nameOf(this.#around.placeOf(event.node), event.request)) > 0;
  }

  #onReplicaAnswered(event: Of<"replicaAnswered">): void {
    const tracked = this.#named(event);
    if (tracked === undefined) return;
    const asker = this.#around.placeOf(event.node);
    if (tracked.isForwarded && tracked.model.entry === asker && !this.#isCoordinatorsOwn(tracked, event)) return;
    const node = this.#around.placeOf(event.member);
    const leg = tracked.model.legs.find((one) => one.node === node) ?? this.#leg(tracked, node, event.us, {});
    leg.answeredUs ??= event.us;
    leg.answer = event.answer;
    if (node === asker) {
      leg.reachedUs ??= leg.askedUs;
      if (event.answer === "ack") this.#onAcknowledged(tracked, leg, event.us);
    }
    const isVote = event.answer === "ack" || event.answer === "absent" || event.answer === "cell" || event.answer === "lostToStamp";
    if (isVote && !tracked.model.votes.some((vote) => vote.node === node)) {
      tracked.model.votes.push({ node, hinted: leg.role === "fallback", atUs: event.us });
    }
    this.#mark(tracked);
  }

  #onEnded(event: Of<"requestEnded">): void {
    const tracked = this.#named(event);
    if (tracked === undefined) return;
    const at = this.#around.placeOf(event.node);
    if (at === tracked.model.coordinator && event.outcome === "done") tracked.model.decidedUs ??= event.us;
    // The owner's end is not the client's: the answer still has to travel to the entry.
    if (at !== tracked.model.entry) return this.#mark(tracked);
    this.#end(tracked, event.us, event.outcome);
  }

  #onNamedAgain(event: Of<"restamped"> | Of<"plannedAgain">): void {
    const tracked = this.#named(event);
    if (tracked === undefined || event.again === event.request) return;
    tracked.model.legs = [];
    tracked.model.votes = [];
    tracked.model.decidedUs = null;
    this.#name(tracked, { node: event.node, request: event.again });
    this.#mark(tracked);
  }

  /** The put has its dot: the coordinator's own copy is on its way to the disk. */
  #onStamped(event: Of<"stamped">): void {
    const tracked = this.#named(event);
    if (tracked === undefined) return;
    const node = this.#around.placeOf(event.node);
    if (tracked.model.legs.some((leg) => leg.node === node)) return;
    this.#leg(tracked, node, event.us, {}).reachedUs = event.us;
    this.#mark(tracked);
  }

  #onCellMerged(event: Of<"cellMerged">): void {
    const node = this.#around.placeOf(event.node);
    for (const tracked of this.#running) {
      if (tracked.keyWord !== event.key || tracked.model.verb === "get" || tracked.model.coordinator !== node) continue;
      tracked.model.siblings = event.siblings;
      this.#mark(tracked);
    }
  }

  #onHintStored(event: Of<"hintStored">): void {
    const node = this.#around.placeOf(event.node);
    for (const tracked of this.#running) {
      if (tracked.keyWord !== event.key || tracked.model.partition !== event.partition) continue;
      const leg = tracked.model.legs.find((one) => one.node === node);
      if (leg === undefined) continue;
      leg.role = "fallback";
      leg.standsFor = this.#around.placeOf(event.target);
      for (const vote of tracked.model.votes) if (vote.node === node) vote.hinted = true;
      this.#mark(tracked);
    }
  }

  // --- what messages tell ---

  #onSent(event: Of<"sent">): void {
    if (event.request === 0n) return;
    const name = nameOf(isAnswer(event.message) ? event.to : event.from, event.request);
    const tracked = this.#byName.get(name);
    if (tracked === undefined) return this.#messages.wait(name, event.id);
    this.#messages.claim(event.id, tracked.model.number);
    const leg = tracked.model.legs.find((one) => one.node === event.from);
    if (event.message === MESSAGE.writeAnswer && leg !== undefined) this.#onAcknowledged(tracked, leg, event.us);
  }

  #onReceived(event: Of<"received">): void {
    if (event.message === MESSAGE.writeAnswer || event.message === MESSAGE.readAnswer) return this.#onLateAnswer(event);
    if (event.message === MESSAGE.forward) return this.#onHanded(event);
    if (event.message !== MESSAGE.write && event.message !== MESSAGE.read) return;
    const tracked = this.#byName.get(nameOf(event.from, event.request));
    const leg = tracked?.model.legs.find((one) => one.node === event.to);
    if (tracked === undefined || leg === undefined || leg.reachedUs !== null) return;
    leg.reachedUs = event.us;
    this.#mark(tracked);
  }

  /** A coordinator that has its quorum says nothing of further answers, but they come. */
  #onLateAnswer(event: Of<"received">): void {
    const tracked = this.#byName.get(nameOf(event.to, event.request));
    const leg = tracked?.model.legs.find((one) => one.node === event.from);
    if (tracked === undefined || leg === undefined || leg.answeredUs !== null) return;
    leg.answeredUs = event.us;
    // What a message says is not told; but who synced its copy has it.
    if (leg.syncedUs !== null) leg.answer ??= "ack";
    this.#mark(tracked);
  }

  /** A copy is durable at the moment at which its node says so: the ack leaves in the turn that ends the sync. */
  #onAcknowledged(tracked: Tracked, leg: Leg, us: number): void {
    if (leg.syncedUs !== null) return;
    if (this.#syncs.onAcknowledged(leg.node, us, { tracked, leg })) this.#markSynced(tracked, leg, us);
  }

  #onLogSynced(node: number, us: number): void {
    for (const { tracked, leg } of this.#syncs.onSynced(node, us)) this.#markSynced(tracked, leg, us);
  }

  #markSynced(tracked: Tracked, leg: Leg, us: number): void {
    leg.syncedUs = us;
    this.#mark(tracked);
  }

  /** A node that stopped answers nobody: what clients had asked there ends with nobody knowing how. */
  #onCrashed(event: Of<"crashed">): void {
    if (event.how === "paused") return;
    this.#downs.delete(event.node);
    for (const tracked of this.#running) {
      if (tracked.model.entry !== event.node || (!tracked.hasStarted && tracked.op === null)) continue;
      this.#end(tracked, event.us, tracked.model.verb === "get" ? "notDone" : "unknown");
    }
  }

  // --- private parts ---

  #downsOf(node: number): Set<number> {
    const place = node === NODE_UNKNOWN ? node : this.#around.placeOf(node);
    let downs = this.#downs.get(place);
    if (downs === undefined) this.#downs.set(place, (downs = new Set()));
    return downs;
  }

  #end(tracked: Tracked, us: number, outcome: RequestModel["outcome"]): void {
    tracked.model.endedUs = us;
    tracked.model.outcome = outcome;
    this.#running.delete(tracked);
    this.#mark(tracked);
  }

  #named(event: { node: number; request: bigint }): Tracked | undefined {
    return this.#byName.get(nameOf(this.#around.placeOf(event.node), event.request));
  }

  #name(tracked: Tracked, event: { node: number; request: bigint }): void {
    const name = nameOf(this.#around.placeOf(event.node), event.request);
    tracked.names.push(name);
    this.#byName.set(name, tracked);
    this.#messages.claimWaiting(name, tracked.model.number);
  }

  #leg(tracked: Tracked, node: number, us: number, how: { hedged?: boolean; standsFor?: number | null }): Leg {
    const owners = this.#around.ownersOf(tracked.model.partition);
    const standsFor = how.standsFor ?? null;
    // Whoever tells of its asking says for whom it stands; new owners of a partition that moves stand for nobody.
    const isFallback = standsFor !== null || (how.standsFor === undefined && owners.length > 0 && !owners.includes(node));
    const leg: Leg = {
      node,
      role: isFallback ? "fallback" : "owner",
      standsFor,
      hedged: how.hedged ?? false,
      askedUs: us,
      // A node asks itself without a message.
      reachedUs: node === tracked.model.coordinator ? us : null,
      syncedUs: null,
      answeredUs: null,
      answer: null,
    };
    tracked.model.legs.push(leg);
    return leg;
  }

  #add(part: Pick<RequestModel, "verb" | "key" | "value" | "entry" | "partition" | "startedUs" | "needed">): Tracked {
    const model: RequestModel = {
      ...part,
      number: ++this.#number,
      coordinator: null,
      decidedUs: null,
      endedUs: null,
      outcome: "running",
      why: null,
      votes: [],
      legs: [],
      skipped: [],
      siblings: 0,
    };
    const tracked: Tracked = {
      model,
      shown: copyOf(model),
      ask: null,
      op: null,
      hasStarted: false,
      readsFirst: false,
      isForwarded: false,
      handedTo: null,
      names: [],
      keyWord: null,
    };
    this.#all.push(tracked);
    this.#running.add(tracked);
    if (this.#all.length > this.#countMax) this.#forgetOldest();
    this.#mark(tracked);
    return tracked;
  }

  #forgetOldest(): void {
    const oldest = this.#all.shift();
    if (oldest === undefined) return;
    for (const name of oldest.names) this.#byName.delete(name);
    if (oldest.ask !== null) this.#asks.delete(oldest.ask);
    if (oldest.op !== null) this.#ops.delete(oldest.op);
    this.#running.delete(oldest);
    this.#changed.delete(oldest);
  }

  #mark(tracked: Tracked): void {
    this.#changed.add(tracked);
    this.#isChanged = true;
  }
}

/** Turns are short: more than these do not wait for their owner to begin. */
const HANDED_COUNT_MAX = 16;

function copyOf(model: RequestModel): RequestModel {
  return {
    ...model,
    votes: model.votes.map((vote) => ({ ...vote })),
    legs: model.legs.map((leg) => ({ ...leg })),
    skipped: [...model.skipped],
  };
}

function putName(us: number, node: number, key: string): string {
  return `${us} ${node} ${key}`;
}

function nameOf(place: number, request: bigint): string {
  return `${place}/${request}`;
}

const UTF8 = new TextEncoder();

/** A key as an event carries it: its first bytes. */
export function tracedKey(key: string): string {
  const bytes = UTF8.encode(key);
  return bytes.length <= KEY_BYTES_TRACED ? key : textOf(bytes.subarray(0, KEY_BYTES_TRACED));
}
