/** A simulated cluster as the page knows it: made of the worker's posts, one after the other. */
import type { ClusterPicture, KeyPicture, NodePicture, ResolvedOptions, Verdict } from "kvorum";
import { unpackLists, unpackRepair } from "../engine/lists.ts";
import { FLIGHT_WIDTH, type PicturesPost, type Post } from "../engine/protocol.ts";
import { putsOf } from "../engine/script.ts";
import { flightOf } from "./flights.ts";
import { History } from "./history.ts";
import type { News } from "./news.ts";
import type { Flight, RequestModel, TimelineMark } from "./scene.ts";

/** More than anybody could tell apart; the rest is not drawn. */
const FLIGHT_COUNT_MAX = 5_000;

/** Beyond the names of messages. */
const COPY_ID = 2 ** 40;
/** How long a message takes that never arrives, until one that arrives has shown how long they take here. */
const WAY_US = 500;

export class WorldModel {
  options: ResolvedOptions | null = null;
  picture: ClusterPicture | null = null;
  keyPicture: KeyPicture | null = null;
  /** The whole key that `keyPicture` is of. */
  askedKey: string | null = null;
  nodePicture: NodePicture | null = null;
  verdict: Verdict | null = null;
  flights: Flight[] = [];
  nowUs = 0;
  events = 0;
  isPlaying = false;
  speed = 1;
  /** The last request that this page made. */
  latest: number | null = null;
  #history = new History();
  #violations = 0;
  #owners: number[][] = [];
  #packed: Uint32Array = new Uint32Array();
  readonly #byAsk = new Map<number, number>();
  #lost: Flight[] = [];
  #wayUs = WAY_US;

  requests(): RequestModel[] {
    return this.#history.requests.models();
  }

  marks(): TimelineMark[] {
    return this.#history.timeline.marks(this.requests());
  }

  takeNews(): News[] {
    return this.#history.takeNews();
  }

  on(post: Post): void {
    switch (post.kind) {
      case "opened":
        this.options = post.options;
        if (post.script !== null) this.#history.requests.scripted(putsOf(post.script));
        this.isPlaying = post.isPlaying;
        this.speed = post.speed;
        return;
      case "playing":
        this.isPlaying = post.isPlaying;
        this.speed = post.speed;
        return;
      case "frame":
        this.#history.onWords(post.words);
        this.nowUs = post.nowUs;
        this.events = post.events;
        this.flights = [...this.#flightsOf(post.flights), ...this.#lostFlights()];
        return;
      case "owners":
        this.#owners = unpackLists(post.owners);
        return;
      case "pictures":
        this.picture = { ...post.cluster, owners: this.#owners };
        this.keyPicture = post.key;
        this.askedKey = post.askedKey;
        this.nodePicture = this.#inside(post.node);
        this.verdict = post.verdict;
        this.#history.onPicture(this.picture);
        return this.#judge(post.verdict);
      case "asked":
        return this.#onAsked(post);
      case "answered":
        return this.#onAnswered(post);
      case "stopped":
        this.isPlaying = false;
        return;
      case "ran":
      case "running":
      case "replay":
      case "replayed":
      case "link":
      case "trouble":
        return;
    }
  }

  /** Thousands of partitions are unpacked only when one of them has changed. */
  #inside(node: PicturesPost["node"]): NodePicture | null {
    if (node === null) return null;
    const known = this.#packed;
    const isSame = this.nodePicture?.name === node.name && known.length === node.repair.length && node.repair.every((word, at) => word === known[at]);
    const repair = isSame ? (this.nodePicture?.repair ?? []) : unpackRepair(node.repair);
    this.#packed = node.repair;
    return { ...node, repair };
  }

  #onAsked(post: Extract<Post, { kind: "asked" }>): void {
    const { number } = this.#history.requests.asked(post);
    this.#byAsk.set(post.ask, number);
    this.latest = number;
  }

  #onAnswered(post: Extract<Post, { kind: "answered" }>): void {
    this.#history.requests.told(post);
    const number = this.#byAsk.get(post.ask);
    this.#byAsk.delete(post.ask);
    const request = this.requests().find((one) => one.number === number);
    if (request === undefined) return;
    this.#history.tell({
      kind: "requestEnded",
      number: request.number,
      outcome: post.outcome,
      votes: request.votes.length,
      needed: request.needed,
    });
    if (request.siblings > 1) this.#history.tell({ kind: "siblings", key: request.key, count: request.siblings });
  }

  #judge(verdict: Verdict): void {
    const first = verdict.violations[0];
    if (first !== undefined && this.#violations === 0) this.#history.tell({ kind: "violation", checker: first.checker });
    this.#violations = verdict.violations.length;
  }

  #flightsOf(packed: Float64Array): Flight[] {
    const flights: Flight[] = [];
    const names = new Set<number>();
    const count = Math.min(FLIGHT_COUNT_MAX, Math.floor(packed.length / FLIGHT_WIDTH));
    for (let index = 0; index < count; index++) {
      const [id = 0, from = 0, to = 0, message = 0, sentUs = 0, arrivesUs = 0, op = 0] = packed.subarray(
        index * FLIGHT_WIDTH,
        (index + 1) * FLIGHT_WIDTH,
      );
      this.#wayUs = arrivesUs - sentUs;
      const flight = this.#flight({ id, from, to, sentUs, arrivesUs, fate: "arrives" }, message, op !== 0);
      // The network may deliver a message twice: one name, two flights.
      while (names.has(flight.id)) flight.id += COPY_ID;
      names.add(flight.id);
      flights.push(flight);
    }
    return flights;
  }

  /** One that never arrives is shown as long as one that does would take. */
  #lostFlights(): Flight[] {
    const added = this.#history.takeLost().map(({ id, from, to, message, us, fate }) =>
      this.#flight({ id: Number(id), from, to, sentUs: us, arrivesUs: us + this.#wayUs, fate }, message, false),
    );
    this.#lost = [...this.#lost, ...added].filter((flight) => flight.arrivesUs > this.nowUs).slice(-FLIGHT_COUNT_MAX);
    return this.#lost;
  }

  /** A request's number needs 64 bits, which a packed number has not: its events named the message. */
  #flight(part: Parameters<typeof flightOf>[0], message: number, isAwaited: boolean): Flight {
    return flightOf(part, message, this.#history.requests.requestOfMessage(BigInt(part.id)), isAwaited);
  }
}
