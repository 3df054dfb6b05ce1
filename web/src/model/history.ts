/**
 * What a stream of events has told so far: requests, marks on the lanes of time, names of keys, news. Fed by a simulated
 * cluster's frames or by live members' batches alike; bounded in memory.
 */
import type { ClusterPicture } from "kvorum";
import type { News } from "./news.ts";
import { Requests } from "./requests.ts";
import type { Verb } from "./scene.ts";
import { Timeline } from "./timeline.ts";
import { Strings, type TraceEvent, events } from "./trace.ts";

/** A message that never arrives, and how it ends. */
export interface LostMessage {
  id: bigint;
  from: number;
  to: number;
  message: number;
  us: number;
  fate: "lost" | "cut";
}

/** Those of one frame; more could not be told apart. */
const LOST_COUNT_MAX = 200;

export class History {
  readonly strings = new Strings();
  readonly requests: Requests;
  readonly timeline: Timeline;
  /** Places by member number. */
  #places = new Map<number, number>();
  #picture: ClusterPicture | null = null;
  #downs = new Map<number, boolean>();
  #news: News[] = [];
  #lastSent: Extract<TraceEvent, { kind: "sent" | "received" }> | null = null;
  #lost: LostMessage[] = [];

  constructor() {
    const placeOf = (member: number): number => this.#places.get(member) ?? member;
    this.requests = new Requests(this.strings, {
      placeOf,
      ownersOf: (partition) => this.#picture?.owners[partition] ?? [],
      quorum: (verb) => this.#quorum(verb),
    });
    this.timeline = new Timeline(placeOf);
  }

  /** News since the last call. */
  takeNews(): News[] {
    const news = this.#news;
    this.#news = [];
    return news;
  }

  tell(news: News): void {
    this.#news.push(news);
    // A burst that nobody hears is not kept.
    if (this.#news.length > 100) this.#news.shift();
  }

  /** Messages that were lost on their way since the last call. */
  takeLost(): LostMessage[] {
    const lost = this.#lost;
    this.#lost = [];
    return lost;
  }

  onPicture(picture: ClusterPicture): void {
    this.#picture = picture;
    // One that is no member yet has no number, and must not take another's.
    this.#places = new Map(picture.nodes.flatMap(({ member }, place) => (member === null ? [] : [[member, place] as const])));
    this.timeline.onPicture(picture);
  }

  onWords(words: Uint32Array): void {
    for (const event of events(words)) this.on(event);
  }

  on(event: TraceEvent): void {
    switch (event.kind) {
      case "string":
        return this.strings.add(event.name, event.text);
      case "wentDown":
      case "cameUp":
        this.#onOpinion(event);
        break;
      case "sent":
        this.#lastSent = event;
        break;
      case "lost":
        this.#onLost(event);
        break;
      case "hintDelivered":
        this.tell({
          kind: "hintDelivered",
          by: this.placeOf(event.node),
          to: this.placeOf(event.target),
          key: this.strings.text(event.key),
        });
        break;
      default:
        break;
    }
    this.requests.on(event);
    this.timeline.on(event);
  }

  placeOf(member: number): number {
    return this.#places.get(member) ?? member;
  }

  /** A message that the network loses is told of right behind its sending. */
  #onLost(event: Extract<TraceEvent, { kind: "lost" }>): void {
    const sent = this.#lastSent;
    if (sent?.id !== event.id || (event.why !== "loss" && event.why !== "cut")) return;
    const { id, from, to, message, us } = sent;
    this.#lost.push({ id, from, to, message, us, fate: event.why === "cut" ? "cut" : "lost" });
    if (this.#lost.length > LOST_COUNT_MAX) this.#lost.shift();
  }

  /** Every member says so; the first time is news. */
  #onOpinion(event: Extract<TraceEvent, { kind: "wentDown" | "cameUp" }>): void {
    const node = this.placeOf(event.target);
    const isDown = event.kind === "wentDown";
    if ((this.#downs.get(node) ?? false) === isDown) return;
    this.#downs.set(node, isDown);
    if (event.kind === "wentDown") {
      this.tell({ kind: "down", node, reporters: event.reporters.map((member) => this.placeOf(member)) });
    } else {
      this.tell({ kind: "up", node });
    }
  }

  #quorum(verb: Verb): number {
    const keyspace = this.#picture?.keyspace;
    return (verb === "get" ? keyspace?.r : keyspace?.w) ?? 1;
  }
}
