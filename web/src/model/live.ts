/**
 * A live cluster as the page knows it: what every member tells of itself and believes of the others, laid together.
 *
 * Each node counts time from its own start, so events are set on the page's clock by the least delay that was seen of that
 * node. A message takes less than a frame, so one is drawn for a quarter of a second: where it goes is true, how long it
 * takes is not.
 */
import type { ClusterPicture, CopyPicture, KeyPicture, NodePicture, NodeSummary } from "kvorum";
import { areSame } from "../engine/lists.ts";
import type { LivePost } from "../engine/live.ts";
import { flightOf } from "./flights.ts";
import { History } from "./history.ts";
import { MESSAGE, isBackground, lookOf } from "./message-kinds.ts";
import type { News } from "./news.ts";
import type { Flight, Leg, LiveFacts, RequestModel, TimelineMark, Trouble } from "./scene.ts";
import { type TraceEvent, events } from "./trace.ts";
import { trim } from "./trim.ts";

/** As long as an eye needs to follow. */
const FLIGHT_MS = 250;
/** Who has sent no picture for so long, while others have, is not who is believed. */
const STALE_MS = 2_500;
const FLIGHT_COUNT_MAX = 300;
const LANDED_MS = 1_000;
const LANDED_COUNT_MAX = 500;
const DENSITY_SECONDS = 60;
/** Arrivals that were told of before their sending; of most the sending was. */
const ARRIVAL_COUNT_MAX = 1_000;
/** No request takes longer; the end of one that seems to was sampled away. */
const REQUEST_MS_MAX = 10_000;

interface Member {
  node: string;
  isAttached: boolean;
  /** Page time minus the node's, in µs; the least seen. */
  offsetUs: number | null;
  /** Its latest event, in its own time and in the page's: a better guess of its clock turns no order around. */
  latest: { ownUs: number; pageUs: number } | null;
  picture: ClusterPicture | null;
  /** When that came. */
  picturedMs: number;
  nodePicture: NodePicture | null;
  keyPicture: KeyPicture | null;
  /** The whole key that `keyPicture` is of: its own text is cut for display. */
  askedKey: string | null;
  eventsPerSecond: number;
  writesPerSecond: number;
  sampledOneIn: number;
  retryAtMs: number | null;
}

type Sent = Extract<TraceEvent, { kind: "sent" | "received" }>;

/** Requests as events tell of them, and the same with their times in order. */
interface Ordered {
  told: readonly RequestModel[];
  models: RequestModel[];
  byTold: WeakMap<RequestModel, RequestModel>;
}

/** What is drawn while the picture is held still. */
interface Held {
  flights: Flight[];
  nowUs: number;
  requests: RequestModel[];
  marks: TimelineMark[];
  picture: ClusterPicture | null;
  counted: Pick<LiveFacts, "landed" | "density" | "wallMs" | "keys">;
}

export class LiveModel {
  readonly #address: string;
  /** All that are asked before anybody has answered. */
  readonly #asked: readonly string[];
  readonly #members = new Map<string, Member>();
  readonly #history = new History();
  /** Where the page's time begins, unix ms. */
  #beganMs: number | null = null;
  #wallMs = 0;
  #heardMs: number | null = null;
  #isRefused = false;
  #events = 0;
  /** By message, in case its sender is heard later. */
  readonly #arrivals = new Map<bigint, Sent>();
  #ordered: Ordered = { told: [], models: [], byTold: new WeakMap() };
  #flights: Flight[] = [];
  /** Counts them: the numbers of messages need 64 bits. */
  #flightId = 0;
  #landed: LiveFacts["landed"] = [];
  #density: number[] = [];
  #densitySecond = 0;
  #lastDown: LiveFacts["lastDown"] = null;
  /** Of which incarnation that was. */
  #lastDownIncarnation = 0n;
  /** Reports of each member's latest life that was reported, by whom; when it comes up again, it has another. */
  readonly #reports = new Map<number, { incarnation: bigint; firstUs: Map<number, number> }>();
  #picture: ClusterPicture | null = null;
  #isHeld = false;
  #held: Held | null = null;

  /** `others`: more addresses of the same cluster. */
  constructor(address: string, others: readonly string[] = []) {
    this.#address = address;
    this.#asked = [address, ...others];
  }

  // --- what is drawn ---

  facts(): LiveFacts {
    const members = [...this.#members.values()];
    const attached = members.filter((member) => member.isAttached);
    const retries = members.flatMap((member) => (member.retryAtMs === null ? [] : [member.retryAtMs]));
    return {
      address: this.#addressNow(),
      status: this.#status(attached.length),
      lastEventMs: this.#heardMs === null ? 0 : Math.max(0, this.#wallMs - this.#heardMs),
      retryInMs: attached.length > 0 || retries.length === 0 ? null : Math.max(0, Math.min(...retries) - this.#wallMs),
      eventsPerSecond: sum(attached, (member) => member.eventsPerSecond),
      sampledOneIn: Math.max(1, ...attached.map((member) => member.sampledOneIn)),
      writesPerSecond: (this.picture()?.nodes ?? []).map((node) => this.#named(node.name)?.writesPerSecond ?? 0),
      lastDown: this.#lastDown,
      ...(this.#held?.counted ?? this.#counted()),
    };
  }

  #counted(): Held["counted"] {
    return { landed: this.#landed, density: this.#density, wallMs: this.#wallMs, keys: keyCount(this.#picture) };
  }

  /** Where the cluster can be found again: who answers now, then who may. */
  addresses(): string[] {
    const attached = [...this.#members].flatMap(([address, member]) => (member.isAttached ? [address] : []));
    const named = (this.#picture?.nodes ?? []).flatMap(({ admin }) => (admin === "" ? [] : [admin]));
    return [...new Set([this.#addressNow(), ...attached, ...named, ...this.#asked])];
  }

  picture(): ClusterPicture | null {
    return this.#held === null ? this.#picture : this.#held.picture;
  }

  nodePicture(place: number | null): NodePicture | null {
    const name = place === null ? undefined : this.picture()?.nodes[place]?.name;
    const member = name === undefined ? undefined : this.#named(name);
    return member?.nodePicture?.name === name ? (member?.nodePicture ?? null) : null;
  }

  /** A member knows its own copy for sure: each copy is taken from its own node, the walk from whoever knows it. */
  keyPicture(key: string | null): KeyPicture | null {
    const places = placesOf(this.picture());
    const known = [...this.#members.values()].flatMap((member) => {
      if (key === null || member.askedKey !== key || member.keyPicture === null) return [];
      // Each member's places are those of its own picture.
      const placeOf = (place: number): number | undefined => places.get(member.picture?.nodes[place]?.name ?? "");
      return [{ place: places.get(member.node), picture: atPlaces(member.keyPicture, placeOf) }];
    });
    const base = known[0]?.picture;
    if (base === undefined) return null;
    const copies = new Map<string, CopyPicture>();
    const siblings = new Map(base.siblings.map((sibling) => [sibling.dot, sibling]));
    const actors = new Set(base.actors);
    for (const { place, picture } of known) {
      for (const copy of picture.copies) {
        const name = `${copy.node} ${copy.hintFor ?? ""}`;
        if (copy.node === place || !copies.has(name)) copies.set(name, copy);
      }
      for (const sibling of picture.siblings) siblings.set(sibling.dot, sibling);
      for (const actor of picture.actors) actors.add(actor);
    }
    return { ...base, copies: [...copies.values()], siblings: [...siblings.values()], actors: [...actors] };
  }

  requests(): RequestModel[] {
    return this.#held?.requests ?? this.#inOrder(this.#history.requests.models());
  }

  marks(): TimelineMark[] {
    return this.#held?.marks ?? this.#history.timeline.marks(this.requests());
  }

  flights(): Flight[] {
    return this.#held?.flights ?? this.#flights;
  }

  nowUs(): number {
    return this.#held?.nowUs ?? this.#pageUs(this.#wallMs);
  }

  events(): number {
    return this.#events;
  }

  trouble(): Trouble | null {
    if (this.#isRefused) return { code: "refused", holes: { address: this.#address } };
    const status = this.#status();
    if (status === "unreachable") return { code: "unreachable", holes: { address: this.#address } };
    return status === "lost" ? { code: "connectionLost", holes: { address: this.#address } } : null;
  }

  takeNews(): News[] {
    return this.#history.takeNews();
  }

  /** Keeps what is drawn as it is, so that it can be looked at; the cluster goes on, and a key or node that is chosen is shown as it is. */
  hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#held = isHeld
      ? {
          flights: this.#flights,
          nowUs: this.nowUs(),
          requests: this.requests(),
          marks: this.marks(),
          picture: this.#picture,
          counted: this.#counted(),
        }
      : null;
  }

  // --- what is told ---

  tick(wallMs: number): void {
    this.#wallMs = wallMs;
    this.#beganMs ??= wallMs;
    const nowUs = this.#pageUs(wallMs);
    if (this.#flights.some((flight) => flight.arrivesUs < nowUs)) {
      this.#flights = this.#flights.filter((flight) => flight.arrivesUs >= nowUs);
    }
    const first = this.#landed[0];
    if (first !== undefined && first.atMs < wallMs - LANDED_MS) {
      this.#landed = this.#landed.filter((one) => one.atMs >= wallMs - LANDED_MS);
    }
    const second = Math.floor(wallMs / 1_000);
    if (this.#densitySecond === 0) this.#densitySecond = second;
    if (second > this.#densitySecond) {
      this.#history.requests.endOlder(nowUs - REQUEST_MS_MAX * 1_000, nowUs);
      const rate = sum([...this.#members.values()].filter((member) => member.isAttached), (member) => member.eventsPerSecond);
      this.#density = [...this.#density, ...Array<number>(Math.min(DENSITY_SECONDS, second - this.#densitySecond)).fill(rate)].slice(-DENSITY_SECONDS);
      this.#densitySecond = second;
    }
  }

  on(post: LivePost): void {
    const before = this.#status();
    if ("atMs" in post) this.tick(post.atMs);
    this.#hear(post);
    const now = this.#status();
    if (now === "lost" && before !== "lost") {
      // Who comes back may be another cluster, whose incarnations begin anew.
      this.#reports.clear();
      this.#lastDownIncarnation = -1n;
      this.#history.tell({ kind: "connectionLost", address: this.#address });
    }
    if (now === "attached" && before === "lost") this.#history.tell({ kind: "connectionBack", address: this.#address });
  }

  #hear(post: LivePost): void {
    switch (post.kind) {
      case "attached":
        return this.#onAttached(post);
      case "pictures":
        return this.#onPictures(post);
      case "batch":
        return this.#onBatch(post);
      case "rates":
        return this.#onRates(post);
      case "dropped":
        return;
      case "lost": {
        const member = this.#members.get(post.address);
        if (member !== undefined) {
          member.isAttached = false;
          member.retryAtMs = post.retryAtMs;
          member.eventsPerSecond = 0;
          member.writesPerSecond = 0;
          this.#compose();
        } else {
          this.#members.set(post.address, newMember("", post.retryAtMs));
        }
        return;
      }
      case "left":
        this.#members.delete(post.address);
        return this.#compose();
      case "refused": {
        const member = this.#members.get(post.address);
        if (member !== undefined) Object.assign(member, { isAttached: false, retryAtMs: null, eventsPerSecond: 0, writesPerSecond: 0 });
        this.#isRefused ||= post.address === this.#address;
        return this.#compose();
      }
    }
  }

  #onAttached(post: Extract<LivePost, { kind: "attached" }>): void {
    const member = this.#members.get(post.address) ?? newMember(post.node, null);
    // It may have started anew, and its clock with it.
    Object.assign(member, { node: post.node, isAttached: true, offsetUs: null, latest: null, retryAtMs: null });
    this.#members.set(post.address, member);
    this.#isRefused = false;
    this.#heardMs = post.atMs;
    if (post.picture !== null) this.#onMemberPicture(member, post.picture, post.atMs);
    this.#compose();
  }

  #onPictures(post: Extract<LivePost, { kind: "pictures" }>): void {
    const member = this.#members.get(post.address);
    if (member === undefined || !member.isAttached) return;
    const { cluster, node, key } = post.pictures;
    if (cluster !== null) this.#onMemberPicture(member, cluster, post.atMs);
    member.nodePicture = node;
    member.keyPicture = key;
    member.askedKey = post.key;
    this.#compose();
  }

  #onMemberPicture(member: Member, picture: ClusterPicture, atMs: number): void {
    member.picture = picture;
    member.picturedMs = atMs;
    this.#setClock(member, picture.nowUs, atMs);
  }

  #onRates(post: Extract<LivePost, { kind: "rates" }>): void {
    const member = this.#members.get(post.address);
    if (member === undefined || post.rates.ms <= 0) return;
    member.eventsPerSecond = Math.round((post.rates.events * 1_000) / post.rates.ms);
    member.writesPerSecond = Math.round((post.rates.writes * 1_000) / post.rates.ms);
    member.sampledOneIn = Math.max(1, post.rates.sampled);
    this.#events += post.rates.events;
    this.#heardMs = post.atMs;
  }

  #onBatch(post: Extract<LivePost, { kind: "batch" }>): void {
    const member = this.#members.get(post.address);
    if (member === undefined) return;
    this.#heardMs = post.atMs;
    const told = [...events(post.words)];
    // The last of them has waited least.
    for (const { us } of told) this.#setClock(member, us, post.atMs);
    const sent: Sent[] = [];
    for (const event of told) {
      event.us = this.#memberUs(member, event.us, post.atMs);
      // Live nodes name themselves and each other by member number in all events.
      this.#onEvent(event, post.atMs);
      this.#history.on(event);
      if (event.kind === "sent") sent.push(event);
      if (event.kind === "received" && (event.message === MESSAGE.write || event.message === MESSAGE.read)) this.#onArrival(event);
    }
    // Only now is it known which requests they belong to.
    for (const event of sent) {
      this.#onSent(event, post.atMs);
      this.#tellArrival(event.id);
    }
  }

  /** Whom it reached may be heard before who sent it, and before its request is known at all. */
  #onArrival(event: Sent): void {
    this.#arrivals.set(event.id, event);
    trim(this.#arrivals, ARRIVAL_COUNT_MAX);
  }

  #tellArrival(id: bigint): void {
    const event = this.#arrivals.get(id);
    if (event === undefined) return;
    this.#arrivals.delete(id);
    this.#history.requests.on(event);
  }

  #onEvent(event: TraceEvent, atMs: number): void {
    switch (event.kind) {
      case "sent":
      case "received":
      case "lost":
        event.from = this.#history.placeOf(event.from);
        event.to = this.#history.placeOf(event.to);
        return;
      case "cellMerged":
        if (!event.changed) return;
        this.#landed = [...this.#landed, { partition: event.partition, atMs }].slice(-LANDED_COUNT_MAX);
        return;
      case "suspected":
        return this.#onSuspected(event);
      case "wentDown":
        return this.#onDown(event, atMs);
      case "cameUp":
        return this.#onUp(event, atMs);
      default:
        return;
    }
  }

  #onSent(event: Sent, atMs: number): void {
    if (isBackground(lookOf(event.message).glyph) && this.#flights.length > FLIGHT_COUNT_MAX / 2) return;
    if (this.#flights.length >= FLIGHT_COUNT_MAX) return;
    const sentUs = this.#pageUs(atMs);
    const request = this.#history.requests.requestOfMessage(event.id);
    const { from, to } = event;
    const part = { id: ++this.#flightId, from, to, sentUs, arrivesUs: sentUs + FLIGHT_MS * 1_000, fate: "arrives" as const };
    this.#flights = [...this.#flights, flightOf(part, event.message, request, event.request !== 0n)];
  }

  /** Each member tells of its own reports only: those of others may come after the Down that they brought about. */
  #onSuspected(event: Extract<TraceEvent, { kind: "suspected" }>): void {
    const target = this.#history.placeOf(event.target);
    let reports = this.#reports.get(target);
    if (reports === undefined || reports.incarnation < event.incarnation) {
      this.#reports.set(target, (reports = { incarnation: event.incarnation, firstUs: new Map() }));
    }
    const reporter = this.#history.placeOf(event.reporter);
    if (reports.incarnation !== event.incarnation || reports.firstUs.has(reporter)) return;
    reports.firstUs.set(reporter, event.us);
    const last = this.#lastDown;
    if (last?.node !== target || this.#lastDownIncarnation !== event.incarnation) return;
    this.#lastDown = { ...last, apartMs: this.#apartMs(target, event.incarnation, last.reporters) };
  }

  #onDown(event: Extract<TraceEvent, { kind: "wentDown" }>, atMs: number): void {
    const node = this.#history.placeOf(event.target);
    // All others say so, some of them maybe when it is up again.
    if (this.#lastDown?.node === node && this.#lastDownIncarnation === event.incarnation) return;
    const reporters = event.reporters.map((member) => this.#history.placeOf(member));
    this.#lastDownIncarnation = event.incarnation;
    this.#lastDown = { node, reporters, atMs, apartMs: this.#apartMs(node, event.incarnation, reporters), backAfterMs: null };
  }

  #onUp(event: Extract<TraceEvent, { kind: "cameUp" }>, atMs: number): void {
    const node = this.#history.placeOf(event.target);
    const reports = this.#reports.get(node);
    if (reports !== undefined && reports.incarnation < event.incarnation) this.#reports.delete(node);
    // One who hears it late speaks of an earlier return.
    const last = this.#lastDown;
    if (last?.node !== node || last.backAfterMs !== null || event.incarnation <= this.#lastDownIncarnation) return;
    this.#lastDown = { ...last, backAfterMs: atMs - last.atMs };
  }

  /** Between the first and the last of these reports, as far as they have been told of. */
  #apartMs(node: number, incarnation: bigint, reporters: readonly number[]): number {
    const reports = this.#reports.get(node);
    if (reports?.incarnation !== incarnation) return 0;
    const times = reporters.flatMap((reporter) => reports.firstUs.get(reporter) ?? []);
    return times.length < 2 ? 0 : Math.round((Math.max(...times) - Math.min(...times)) / 1_000);
  }

  // --- private parts ---

  /** One picture of all: what one attached member believes, with what each attached one says of itself. */
  #compose(): void {
    const attached = [...this.#members.values()].filter((member) => member.isAttached && member.picture !== null);
    // One that hangs keeps its connection, and goes on believing what it last said.
    const latest = Math.max(...attached.map((member) => member.picturedMs));
    const fresh = attached.filter((member) => latest - member.picturedMs <= STALE_MS);
    // Who knows the latest topology; before that, who was attached first.
    const base = fresh.reduce<ClusterPicture | null>(
      (best, { picture }) => (picture !== null && (best === null || picture.epoch > best.epoch) ? picture : best),
      null,
    );
    if (base === null) return;
    const places = placesOf(base);
    const suspicions = new Map(base.suspicions.map((one) => [`${one.by} ${one.of}`, one]));
    for (const { picture, node } of fresh) {
      for (const one of picture?.suspicions ?? []) {
        const by = places.get(picture?.nodes[one.by]?.name ?? "");
        const of = places.get(picture?.nodes[one.of]?.name ?? "");
        const isOwn = picture?.nodes[one.by]?.name === node;
        if (isOwn && by !== undefined && of !== undefined) suspicions.set(`${by} ${of}`, { by, of, own: one.own });
      }
    }
    // Every poll brings them anew, and thousands of them are drawn: the same ones stay the same object.
    const known = this.#picture?.owners;
    this.#picture = {
      ...base,
      owners: known !== undefined && areSame(known, base.owners) ? known : base.owners,
      nodes: base.nodes.map((node) => this.#summary(node)),
      suspicions: [...suspicions.values()],
      requests: {
        asked: sum(attached, ({ picture }) => picture?.requests.asked ?? 0),
        done: sum(attached, ({ picture }) => picture?.requests.done ?? 0),
      },
    };
    this.#history.onPicture(this.#picture);
  }

  #summary(node: NodeSummary): NodeSummary {
    const own = this.#named(node.name);
    const said = own?.picture?.nodes.find((one) => one.name === node.name);
    if (said === undefined) return node;
    const { memtableBytes, memtableBytesMax, hints, keys } = said;
    return { ...node, memtableBytes, memtableBytesMax, hints, keys };
  }

  #named(name: string): Member | undefined {
    for (const member of this.#members.values()) if (member.node === name) return member;
    return undefined;
  }

  /** Who was asked for, or somebody else who answers in its place. */
  #addressNow(): string {
    if (this.#members.get(this.#address)?.isAttached === true) return this.#address;
    for (const [address, member] of this.#members) if (member.isAttached) return address;
    return this.#address;
  }

  #status(attached = [...this.#members.values()].filter((member) => member.isAttached).length): LiveFacts["status"] {
    if (this.#isRefused) return "refused";
    if (attached > 0) return "attached";
    if (this.#heardMs !== null) return "lost";
    // A connection that never was is not one that was lost. The browser does not tell a page why it came to none.
    return this.#asked.every((address) => this.#members.has(address)) ? "unreachable" : "attaching";
  }

  #setClock(member: Member, us: number, atMs: number): void {
    const offset = atMs * 1_000 - us;
    member.offsetUs = member.offsetUs === null ? offset : Math.min(member.offsetUs, offset);
  }

  #memberUs(member: Member, ownUs: number, atMs: number): number {
    const { latest } = member;
    const us = this.#pageUs(atMs, ownUs + (member.offsetUs ?? 0));
    const pageUs = latest !== null && ownUs >= latest.ownUs ? Math.max(us, latest.pageUs) : us;
    if (latest === null || ownUs >= latest.ownUs) member.latest = { ownUs, pageUs };
    return pageUs;
  }

  /** The same array and objects as long as they are told the same. */
  #inOrder(told: readonly RequestModel[]): RequestModel[] {
    if (told === this.#ordered.told) return this.#ordered.models;
    const { byTold } = this.#ordered;
    const models = told.map((model) => {
      const known = byTold.get(model) ?? inOrder(model);
      byTold.set(model, known);
      return known;
    });
    this.#ordered = { told, models, byTold };
    return models;
  }

  /** On the page's clock, never in the future. */
  #pageUs(atMs: number, us = atMs * 1_000): number {
    return Math.max(0, Math.min(us, atMs * 1_000) - (this.#beganMs ?? atMs) * 1_000);
  }
}

/**
 * Clocks of members are guessed to a millisecond or so, and a message takes less: what happened elsewhere happened between
 * the question and the answer, however it was timed there.
 */
function inOrder(model: RequestModel): RequestModel {
  const first = Math.min(...model.legs.map((leg) => leg.askedUs));
  const isElsewhere = model.coordinator !== null && model.coordinator !== model.entry && model.legs.length > 0;
  const shiftUs = isElsewhere ? shiftBetween(first, model.decidedUs ?? first, model.startedUs, model.endedUs) : 0;
  const shifted = (us: number): number => us + shiftUs;
  const legs = model.legs.map((leg) => {
    const answeredUs = leg.answeredUs === null ? null : shifted(leg.answeredUs);
    if (leg.node !== model.coordinator) return legInOrder({ ...leg, askedUs: shifted(leg.askedUs), answeredUs });
    const reachedUs = leg.reachedUs === null ? null : shifted(leg.reachedUs);
    const syncedUs = leg.syncedUs === null ? null : shifted(leg.syncedUs);
    return { ...leg, askedUs: shifted(leg.askedUs), reachedUs, syncedUs, answeredUs };
  });
  const votes = model.votes.map((vote) => ({ ...vote, atUs: shifted(vote.atUs) }));
  return { ...model, legs, votes, decidedUs: model.decidedUs === null ? null : shifted(model.decidedUs) };
}

function legInOrder(leg: Leg): Leg {
  const { askedUs, reachedUs, syncedUs, answeredUs } = leg;
  const beganUs = reachedUs ?? syncedUs;
  if (beganUs === null) {
    // Who answered was reached, though nobody heard when: half of the way is the best guess.
    return answeredUs === null ? leg : { ...leg, reachedUs: Math.round((askedUs + answeredUs) / 2) };
  }
  const shiftUs = shiftBetween(beganUs, syncedUs ?? beganUs, askedUs, answeredUs);
  const within = (us: number): number => Math.max(askedUs, Math.min(us + shiftUs, answeredUs ?? Infinity));
  return { ...leg, reachedUs: within(beganUs), syncedUs: syncedUs === null ? null : within(syncedUs) };
}

/** By how much what lasted from `from` to `to` is to be moved to begin after `least` and, if it can, end before `most`. */
function shiftBetween(from: number, to: number, least: number, most: number | null): number {
  if (from < least) return least - from;
  return most === null || to <= most ? 0 : -Math.min(to - most, from - least);
}

function newMember(node: string, retryAtMs: number | null): Member {
  return {
    node,
    isAttached: false,
    offsetUs: null,
    latest: null,
    picture: null,
    picturedMs: 0,
    nodePicture: null,
    keyPicture: null,
    askedKey: null,
    eventsPerSecond: 0,
    writesPerSecond: 0,
    sampledOneIn: 1,
    retryAtMs,
  };
}

/** Places by name. */
function placesOf(picture: ClusterPicture | null): Map<string, number> {
  return new Map((picture?.nodes ?? []).map((node, place) => [node.name, place]));
}

/** A picture of a key with other places; what has none is left out. */
function atPlaces(picture: KeyPicture, placeOf: (place: number) => number | undefined): KeyPicture {
  const walk = picture.walk.flatMap((step) => {
    const node = placeOf(step.node);
    return node === undefined ? [] : [{ ...step, node }];
  });
  const copies = picture.copies.flatMap((copy) => {
    const node = placeOf(copy.node);
    const hintFor = copy.hintFor === null ? null : placeOf(copy.hintFor);
    return node === undefined || hintFor === undefined ? [] : [{ ...copy, node, hintFor }];
  });
  return { ...picture, walk, copies };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

/** Each key is held by N members, or by all while they are fewer. */
function keyCount(picture: ClusterPicture | null): number {
  const copies = Math.min(picture?.keyspace.n ?? 1, picture?.nodes.length ?? 1);
  return Math.round(sum(picture?.nodes ?? [], (node) => node.keys) / Math.max(1, copies));
}
