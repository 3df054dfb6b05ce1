/**
 * Marks on the lanes of time: faults and membership, as events tell of them.
 *
 * Memory is bounded: the oldest marks that have ended go first.
 */
import type { ClusterPicture } from "kvorum";
import type { RequestModel, TimelineMark } from "./scene.ts";
import type { TraceEvent } from "./trace.ts";

/** Far more than lanes have pixels. */
const MARK_COUNT_MAX = 5_000;

/** Cuts that last at once. */
const CUT_COUNT_MAX = 200;

type Cut = Extract<TimelineMark, { kind: "cut" }>;
type Spell = Extract<TimelineMark, { kind: "crash" | "slow" | "loss" }>;
type OpenCut = { mark: Cut; links: Set<string>; wanted: Set<string> };

export class Timeline {
  #marks: TimelineMark[] = [];
  readonly #placeOf: (member: number) => number;
  readonly #countMax: number;
  /** Spells that have not ended, by kind and node. */
  readonly #open = new Map<string, Spell>();
  readonly #paused = new Set<number>();
  #cuts: OpenCut[] = [];
  /** Latest incarnations that went down, by target, so that one opinion of many makes one mark. */
  readonly #downs = new Map<number, { incarnation: bigint; isUp: boolean }>();
  readonly #suspicions = new Map<string, bigint>();
  #shown: TimelineMark[] = [];
  #isChanged = false;
  #requests: readonly RequestModel[] = [];

  constructor(placeOf: (member: number) => number, countMax = MARK_COUNT_MAX) {
    this.#placeOf = placeOf;
    this.#countMax = countMax;
  }

  /** All marks, those of requests last. The same array as long as nothing has changed. */
  marks(requests: readonly RequestModel[]): TimelineMark[] {
    if (this.#isChanged || requests !== this.#requests) {
      this.#isChanged = false;
      this.#requests = requests;
      this.#shown = [...this.#marks.map((mark) => ({ ...mark })), ...requests.map(markOf)].slice(-this.#countMax);
    }
    return this.#shown;
  }

  on(event: TraceEvent): void {
    switch (event.kind) {
      case "crashed":
        if (event.how === "paused") this.#paused.add(event.node);
        if (event.how === "wiped") return this.#onWiped(event.us, event.node);
        return this.#begin({ kind: "crash", how: event.how === "paused" ? "paused" : "stopped", fromUs: event.us, toUs: null, node: event.node });
      case "restarted":
        return this.#end("crash", event.node, event.us);
      case "slowed":
        this.#end("slow", event.node, event.us);
        if (event.ms > 0) this.#begin({ kind: "slow", fromUs: event.us, toUs: null, node: event.node, ms: event.ms });
        return;
      case "lossy":
        if (event.permille === 0) return this.#end("loss", event.node, event.us);
        return this.#begin({ kind: "loss", fromUs: event.us, toUs: null, node: event.node });
      case "link":
        return event.isCut ? this.#onCut(event.us, event.from, event.to) : this.#onHealed(event.us, event.from, event.to);
      case "suspected":
        return this.#onSuspected(event.us, this.#placeOf(event.reporter), this.#placeOf(event.target), event.incarnation);
      case "wentDown":
        return this.#onDown(event.us, this.#placeOf(event.target), event.reporters.map(this.#placeOf), event.incarnation);
      case "cameUp":
        return this.#onUp(event.us, this.#placeOf(event.target));
      default:
        return;
    }
  }

  /** That a paused node goes on, and that a script has healed all at once, is seen in pictures only. */
  onPicture(picture: ClusterPicture): void {
    const cuts = new Set(picture.cuts.map(([from, to]) => `${from} ${to}`));
    for (const cut of this.#cuts) {
      if (cut.mark.fromUs < picture.nowUs && ![...cut.wanted].some((link) => cuts.has(link))) {
        cut.wanted.clear();
        cut.mark.toUs = picture.nowUs;
        this.#isChanged = true;
      }
    }
    this.#cuts = this.#cuts.filter((cut) => cut.wanted.size > 0);
    picture.nodes.forEach((node, place) => {
      if (node.state !== "paused" && this.#paused.delete(place)) this.#end("crash", place, picture.nowUs);
    });
  }

  #begin(spell: Spell): void {
    const name = `${spell.kind} ${spell.node}`;
    if (this.#open.has(name)) return;
    this.#open.set(name, spell);
    this.#push(spell);
  }

  #end(kind: Spell["kind"], node: number, us: number): void {
    const name = `${kind} ${node}`;
    const spell = this.#open.get(name);
    if (spell === undefined) return;
    spell.toUs = us;
    this.#open.delete(name);
    this.#isChanged = true;
  }

  /** Told of a node that has just stopped, or found at its start that its disk cannot be read. */
  #onWiped(us: number, node: number): void {
    const spell = this.#open.get(`crash ${node}`);
    if (spell?.kind !== "crash") return this.#begin({ kind: "crash", how: "wiped", fromUs: us, toUs: null, node });
    spell.how = "wiped";
    this.#isChanged = true;
  }

  /** Links that are cut at one time are one cut, between those who can no longer reach each other. */
  #onCut(us: number, from: number, to: number): void {
    const last = this.#cuts.at(-1);
    const link = `${from} ${to}`;
    if (last !== undefined && last.mark.fromUs === us) {
      last.links.add(link);
      last.wanted.add(link);
      Object.assign(last.mark, sidesOf(last.links));
      this.#isChanged = true;
      return;
    }
    const links = new Set([link]);
    const mark: Cut = { kind: "cut", fromUs: us, toUs: null, ...sidesOf(links) };
    this.#cuts.push({ mark, links, wanted: new Set(links) });
    if (this.#cuts.length > CUT_COUNT_MAX) this.#cuts.shift();
    this.#push(mark);
  }

  #onHealed(us: number, from: number, to: number): void {
    for (const cut of this.#cuts) {
      if (cut.wanted.delete(`${from} ${to}`) && cut.wanted.size === 0) {
        cut.mark.toUs = us;
        this.#isChanged = true;
      }
    }
    this.#cuts = this.#cuts.filter((cut) => cut.wanted.size > 0);
  }

  #onSuspected(us: number, by: number, of: number, incarnation: bigint): void {
    const name = `${by} ${of}`;
    if (this.#suspicions.get(name) === incarnation) return;
    this.#suspicions.set(name, incarnation);
    this.#push({ kind: "suspected", atUs: us, by, of });
  }

  #onDown(us: number, of: number, reporters: number[], incarnation: bigint): void {
    const known = this.#downs.get(of);
    if (known !== undefined && known.incarnation >= incarnation && !known.isUp) return;
    this.#downs.set(of, { incarnation, isUp: false });
    this.#push({ kind: "down", atUs: us, of, reporters });
  }

  #onUp(us: number, of: number): void {
    const known = this.#downs.get(of);
    if (known === undefined || known.isUp) return;
    known.isUp = true;
    this.#push({ kind: "up", atUs: us, of });
  }

  #push(mark: TimelineMark): void {
    this.#marks.push(mark);
    if (this.#marks.length > this.#countMax) {
      const oldest = this.#marks.findIndex((one) => !("toUs" in one) || one.toUs !== null);
      this.#marks.splice(Math.max(oldest, 0), 1);
    }
    this.#isChanged = true;
  }
}

function markOf(request: RequestModel): TimelineMark {
  return {
    kind: "request",
    atUs: request.startedUs,
    verb: request.verb,
    number: request.number,
    siblings: request.siblings > 1,
  };
}

/** The side of the smallest node, and the nodes that it cannot reach. */
function sidesOf(links: ReadonlySet<string>): { one: number[]; other: number[] } {
  const pairs = [...links].map((link) => link.split(" ").map(Number));
  const nodes = [...new Set(pairs.flat())].sort((a, b) => a - b);
  const first = nodes[0];
  const other = nodes.filter((node) => pairs.some(([a, b]) => (a === first && b === node) || (b === first && a === node)));
  return { one: nodes.filter((node) => !other.includes(node)), other };
}
