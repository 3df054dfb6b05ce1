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
const REQUEST_COUNT_MAX = 2_000;
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
  /** A simulated cluster's client has told of it. */
  isOp: boolean;
  /** Its client was told how it ended. */
  isAnswered: boolean;
  /** What its client calls it at the entry. */
  client: string | null;
  /** Names of it, at the entry and at the coordinators. */
  names: string[];
  /** How it went at those that coordinated it, in order: when an owner is slow, the next one does it too. */
  courses: Course[];
  /** The one that is shown. */
  course: Course | null;
  keyWord: number | null;
  /** What was last shown of it: another object whenever something changes. */
  shown: RequestModel;
}

/** How a request goes at one coordinator. */
interface Course extends Pick<RequestModel, "needed" | "decidedUs" | "votes" | "legs"> {
  coordinator: number;
}

/** What a node calls a request: one that it coordinates, or one that it has handed over. */
interface Named {
  tracked: Tracked;
  course: Course | null;
}

/** The events of one kind, some of which share a shape. */
type Of<K extends TraceEvent["kind"], E = TraceEvent> = E extends { kind: infer Kinds } ? (K extends Kinds ? E : never) : never;

export class Requests {
  readonly #strings: Strings;
  readonly #around: Surroundings;
  readonly #countMax: number;
  /** Oldest first. */
  #all: Tracked[] = [];
  readonly #byName = new Map<string, Named>();
  /** By what their clients call them. */
  readonly #clients = new Map<string, Tracked>();
  readonly #messages = new MessageNames();
  readonly #asks = new Map<number, Tracked>();
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
    tracked.isAnswered = true;
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

  /** A client asks a node. */
  #onOpStarted(event: Of<"opStarted">): void {
    if (event.key === null) return;
    const key = this.#strings.text(event.key);
    const verb = event.verb === "expire" ? "put" : event.verb;
    const isAsked = (one: Tracked): boolean =>
      !one.isOp && one.model.entry === event.node && one.model.verb === verb && tracedKey(one.model.key) === key;
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
    tracked.isOp = true;
    this.#onClients(tracked, clientOf(event.node, BigInt(event.op)));
    tracked.model.startedUs = event.us;
    this.#mark(tracked);
  }

  #onOpEnded(event: Of<"opEnded">): void {
    const tracked = this.#clients.get(clientOf(event.node, BigInt(event.op)));
    if (tracked === undefined) return;
    tracked.isAnswered = true;
    if (tracked.model.endedUs === null) this.#end(tracked, event.us, event.outcome);
  }

  // --- what coordinators tell ---

  /**
   * A node begins: for a client, or for the member that handed the put over. One operation may begin several requests, one
   * after the other (an expiry is set on what was read; a put is taken over, or handed over anew): the last is shown, and
   * what was said to an earlier one counts for nothing.
   */
  #onStarted(event: Of<"requestStarted">): void {
    const node = this.#around.placeOf(event.node);
    const tracked =
      this.#begunFor(node, event) ??
      this.#add({
        verb: event.verb === "read" ? "get" : "put",
        key: this.#strings.text(event.key),
        value: null,
        entry: node,
        partition: event.partition,
        startedUs: event.us,
        needed: event.needed,
      });
    const { model } = tracked;
    tracked.keyWord = event.key;
    model.partition = event.partition;
    if (event.handedBy === null) {
      this.#onClients(tracked, clientOf(node, event.asker));
      // What a client asked for is known from the client, if that tells.
      if (!tracked.isOp && event.verb !== "read" && model.verb === "get") model.verb = "put";
      const downs = this.#downsOf(event.node);
      model.skipped = this.#around.ownersOf(event.partition).filter((owner) => downs.has(owner));
      if (model.endedUs !== null && !tracked.isAnswered) this.#endNot(tracked);
    }
    if (event.verb === "forward") {
      this.#name(tracked, event, null);
      model.needed = event.needed;
    } else {
      const course = { coordinator: node, needed: event.needed, decidedUs: null, votes: [], legs: [] };
      this.#begin(tracked, event, course);
      // An owner that begins after the end changes nothing of what led to it.
      if (event.handedBy === null || tracked.course === null || model.endedUs === null) this.#showCourse(tracked, course);
    }
    this.#mark(tracked);
  }

  /** The operation that a request begins for. A node that starts again gives the numbers of its earlier life once more. */
  #begunFor(node: number, event: Of<"requestStarted">): Tracked | undefined {
    if (event.handedBy === null) {
      const known = this.#clients.get(clientOf(node, event.asker));
      // An operation goes from one request to the next in one turn, and its end is told in the turn that ends it.
      return known?.model.endedUs === null || known?.model.endedUs === event.us ? known : undefined;
    }
    const known = this.#byName.get(nameOf(this.#around.placeOf(event.handedBy), event.asker));
    return known?.course === null && known.tracked.keyWord === event.key ? known.tracked : undefined;
  }

  /** A coordinator begins, or begins anew. */
  #begin(tracked: Tracked, name: { node: number; request: bigint }, course: Course): void {
    tracked.courses.push(course);
    this.#name(tracked, name, course);
  }

  #showCourse(tracked: Tracked, course: Course): void {
    tracked.course = course;
    Object.assign(tracked.model, course);
    this.#mark(tracked);
  }

  #onReplicaAsked(event: Of<"replicaAsked">): void {
    const named = this.#named(event);
    if (named === undefined) return;
    const { tracked, course } = named;
    const node = this.#around.placeOf(event.member);
    if (course === null) {
      tracked.model.coordinator = tracked.course?.coordinator ?? node;
      return this.#mark(tracked);
    }
    const known = course.legs.find((leg) => leg.node === node);
    if (known === undefined) {
      this.#leg(tracked, course, node, event.us, {
        hedged: event.hedged,
        standsFor: event.standsFor === null ? null : this.#around.placeOf(event.standsFor),
      });
    } else {
      // Sent again: the leg keeps its beginning.
      known.hedged ||= event.hedged;
    }
    this.#mark(tracked);
  }

  #onReplicaAnswered(event: Of<"replicaAnswered">): void {
    const named = this.#named(event);
    if (named === undefined) return;
    const { tracked, course } = named;
    const asker = this.#around.placeOf(event.node);
    const node = this.#around.placeOf(event.member);
    if (course === null) {
      // An owner that did nothing is followed by another try.
      if (event.answer !== "ack" && event.answer !== "inDoubt") return;
      // Whose answer the entry has is what counts; of several at one owner, the one that it has decided.
      const there = tracked.courses.filter((one) => one.coordinator === node);
      const answered = there.findLast((one) => one.decidedUs !== null) ?? there.at(-1);
      if (answered !== undefined) this.#showCourse(tracked, answered);
      return;
    }
    const { answer } = event;
    // Only who was handed a put says so.
    if (answer === "behind" || answer === "inDoubt") return;
    const leg = course.legs.find((one) => one.node === node) ?? this.#leg(tracked, course, node, event.us, {});
    leg.answeredUs ??= event.us;
    leg.answer = answer;
    if (node === asker) {
      leg.reachedUs ??= leg.askedUs;
      if (answer === "ack") this.#onAcknowledged(tracked, leg, event.us);
    }
    const isVote = answer !== "refused";
    if (isVote && !course.votes.some((vote) => vote.node === node)) {
      course.votes.push({ node, hinted: leg.role === "fallback", atUs: event.us });
    }
    this.#mark(tracked);
  }

  #onEnded(event: Of<"requestEnded">): void {
    const named = this.#named(event);
    if (named === undefined) return;
    const { tracked, course } = named;
    if (course !== null && event.outcome === "done") course.decidedUs ??= event.us;
    if (tracked.course !== null) tracked.model.decidedUs = tracked.course.decidedUs;
    // The owner's end is not the client's: the answer still has to travel to the entry.
    if (this.#around.placeOf(event.node) !== tracked.model.entry) return this.#mark(tracked);
    this.#end(tracked, event.us, event.outcome);
  }

  #onNamedAgain(event: Of<"restamped"> | Of<"plannedAgain">): void {
    const named = this.#named(event);
    if (named === undefined || event.again === event.request) return;
    const { tracked, course } = named;
    const name = { node: event.node, request: event.again };
    // Once it has ended it goes on for those that have not answered.
    if (course === null || tracked.model.endedUs !== null) return this.#name(tracked, name, course);
    const anew = { ...course, decidedUs: null, votes: [], legs: [] };
    this.#begin(tracked, name, anew);
    this.#showCourse(tracked, anew);
  }

  /** The put has its dot: the coordinator's own copy is on its way to the disk. */
  #onStamped(event: Of<"stamped">): void {
    const named = this.#named(event);
    if (named === undefined || named.course === null) return;
    const { tracked, course } = named;
    if (course.legs.some((leg) => leg.node === course.coordinator)) return;
    this.#leg(tracked, course, course.coordinator, event.us, {}).reachedUs = event.us;
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
    const named = this.#byName.get(name);
    if (named === undefined) return this.#messages.wait(name, event.id);
    const { tracked, course } = named;
    this.#messages.claim(event.id, tracked.model.number);
    const leg = course?.legs.find((one) => one.node === event.from);
    if (event.message === MESSAGE.writeAnswer && leg !== undefined) this.#onAcknowledged(tracked, leg, event.us);
  }

  #onReceived(event: Of<"received">): void {
    if (event.message === MESSAGE.writeAnswer || event.message === MESSAGE.readAnswer) return this.#onLateAnswer(event);
    if (event.message !== MESSAGE.write && event.message !== MESSAGE.read) return;
    const named = this.#byName.get(nameOf(event.from, event.request));
    const leg = named?.course?.legs.find((one) => one.node === event.to);
    if (named === undefined || leg === undefined || leg.reachedUs !== null) return;
    leg.reachedUs = event.us;
    this.#mark(named.tracked);
  }

  /** A coordinator that has its quorum says nothing of further answers, but they come. */
  #onLateAnswer(event: Of<"received">): void {
    const named = this.#byName.get(nameOf(event.to, event.request));
    const leg = named?.course?.legs.find((one) => one.node === event.from);
    if (named === undefined || leg === undefined || leg.answeredUs !== null) return;
    leg.answeredUs = event.us;
    // What a message says is not told; but who synced its copy has it.
    if (leg.syncedUs !== null) leg.answer ??= "ack";
    this.#mark(named.tracked);
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
      if (tracked.model.entry !== event.node || (tracked.names.length === 0 && !tracked.isOp)) continue;
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

  #onClients(tracked: Tracked, client: string): void {
    tracked.client = client;
    this.#clients.set(client, tracked);
  }

  /** Its node goes on with it. */
  #endNot(tracked: Tracked): void {
    [tracked.model.endedUs, tracked.model.outcome] = [null, "running"];
    this.#running.add(tracked);
  }

  #named(event: { node: number; request: bigint }): Named | undefined {
    return this.#byName.get(nameOf(this.#around.placeOf(event.node), event.request));
  }

  #name(tracked: Tracked, event: { node: number; request: bigint }, course: Course | null): void {
    const name = nameOf(this.#around.placeOf(event.node), event.request);
    tracked.names.push(name);
    this.#byName.set(name, { tracked, course });
    this.#messages.claimWaiting(name, tracked.model.number);
  }

  #leg(tracked: Tracked, course: Course, node: number, us: number, how: { hedged?: boolean; standsFor?: number | null }): Leg {
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
      reachedUs: node === course.coordinator ? us : null,
      syncedUs: null,
      answeredUs: null,
      answer: null,
    };
    course.legs.push(leg);
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
      isOp: false,
      isAnswered: false,
      client: null,
      names: [],
      courses: [],
      course: null,
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
    if (oldest.client !== null) this.#clients.delete(oldest.client);
    this.#running.delete(oldest);
    this.#changed.delete(oldest);
  }

  #mark(tracked: Tracked): void {
    this.#changed.add(tracked);
    this.#isChanged = true;
  }
}

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

/** What a client calls a request at its entry. */
function clientOf(entry: number, client: bigint): string {
  return `${entry}/${client}`;
}

/** What a node calls a request. */
function nameOf(place: number, request: bigint): string {
  return `${place}/${request}`;
}

const UTF8 = new TextEncoder();

/** A key as an event carries it: its first bytes. */
export function tracedKey(key: string): string {
  const bytes = UTF8.encode(key);
  return bytes.length <= KEY_BYTES_TRACED ? key : textOf(bytes.subarray(0, KEY_BYTES_TRACED));
}
