/**
 * One request as lanes over time: who was asked, what went where and when, and the staircase of the tally below.
 *
 * Everything drawn has a time in the model; what has none (the hop of a client, the service time of a read) is drawn as
 * a line between the times that are known, never as a length that would be made up.
 */
import type { Leg, RequestModel } from "../../model/scene.ts";
import type { GlyphName, Role } from "../glyphs.ts";
import { labelWidth, wordBox } from "./labels.ts";
import type { Point } from "./polar.ts";
import { meets, type Box } from "./stage.ts";

export interface Segment {
  readonly fromMs: number;
  readonly toMs: number;
  readonly x: number;
  readonly end: number;
}

export interface Gap {
  readonly from: number;
  readonly to: number;
}

export interface TimeScale {
  readonly segments: readonly Segment[];
  readonly ticks: readonly { x: number; ms: number }[];
  readonly left: number;
  readonly right: number;
  /** Between two segments the axis is broken. */
  readonly gaps: readonly Gap[];
  x(ms: number): number;
  /** The last break between two times, if there is one. */
  gapBetween(fromMs: number, toMs: number): Gap | null;
}

const LEFT = 188;
const GAP = 56;
/** Pauses are cut out of the axis where the longest is longer than all the rest together, or two are twice as long. */
const PAUSES_MAX = 2;
const STEPS_MS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];

/** Times of a request, in milliseconds since it began, in order. */
export function timesOf(request: RequestModel, nowUs: number): number[] {
  const ms = (us: number): number => Math.max(0, (us - request.startedUs) / 1000);
  const known = request.legs.flatMap((leg) => [leg.askedUs, leg.reachedUs, leg.syncedUs, leg.answeredUs]);
  const all = [request.startedUs, request.endedUs, ...known, ...request.votes.map((vote) => vote.atUs)];
  if (request.outcome === "running") {
    all.push(nowUs);
  }
  return all.flatMap((us) => (us === null ? [] : [ms(us)])).sort((a, b) => a - b);
}

export function timeScale(times: readonly number[], width: number): TimeScale {
  const last = Math.max(times.at(-1) ?? 0, 0.2);
  const right = width - 36;
  const segments = segmentsOf(pausesOf(times), last, right);
  const segmentOf = (ms: number): number => {
    const after = segments.findIndex((segment) => ms < segment.fromMs);
    return (after < 0 ? segments.length : Math.max(1, after)) - 1;
  };
  const x = (ms: number): number => {
    const segment = segments[segmentOf(ms)];
    if (segment === undefined) {
      return LEFT;
    }
    const part = (ms - segment.fromMs) / Math.max(1e-9, segment.toMs - segment.fromMs);
    return segment.x + Math.min(1, Math.max(0, part)) * (segment.end - segment.x);
  };
  const gaps = segments.slice(1).map((segment, index) => ({ from: (segments[index]?.end ?? 0) + 16, to: segment.x - 16 }));
  const gapBetween = (fromMs: number, toMs: number): Gap | null => (segmentOf(toMs) > segmentOf(fromMs) ? (gaps[segmentOf(toMs) - 1] ?? null) : null);
  return { segments, ticks: segments.flatMap((segment) => ticksIn(segment)), left: LEFT, right: width, gaps, x, gapBetween };
}

interface Pause {
  readonly from: number;
  readonly to: number;
}

function pausesOf(times: readonly number[]): Pause[] {
  const spans = times.map((to, index): Pause => ({ from: times[index - 1] ?? 0, to })).filter(({ from, to }) => from > 0 && to > from);
  const whole = times.at(-1) ?? 0;
  const longest = [...spans].sort((a, b) => b.to - b.from - (a.to - a.from));
  for (let count = Math.min(PAUSES_MAX, longest.length); count > 0; count -= 1) {
    const chosen = longest.slice(0, count);
    const shortest = chosen.at(-1);
    const rest = whole - chosen.reduce((sum, { from, to }) => sum + to - from, 0);
    if (shortest !== undefined && shortest.to - shortest.from > count * rest) {
      return chosen.sort((a, b) => a.from - b.from);
    }
  }
  return [];
}

/** What lies between the pauses, with a little of each. The first part is the widest: most happens there. */
function segmentsOf(pauses: readonly Pause[], last: number, right: number): Segment[] {
  if (pauses.length === 0) {
    return [{ fromMs: 0, toMs: last * 1.06, x: LEFT, end: right }];
  }
  const before = (pauses[0]?.from ?? 0) * 1.15;
  const times = [{ fromMs: 0, toMs: before }];
  pauses.forEach((pause, index) => {
    const end = pauses[index + 1]?.from ?? last;
    const pad = Math.max(0.2, (end - pause.to) * 0.4, before * 0.05);
    times.push({ fromMs: Math.max((times.at(-1)?.toMs ?? 0) + 1e-3, pause.to - pad), toMs: end + pad * 0.4 });
  });
  const room = right - LEFT - GAP * pauses.length;
  const span = times.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const first = Math.min(pauses.length > 1 ? 0.6 : 0.7, Math.max(0.45, before / span));
  let x = LEFT;
  return times.map(({ fromMs, toMs }, index): Segment => {
    const from = x;
    const end = from + room * (index === 0 ? first : (1 - first) / pauses.length);
    x = end + GAP;
    return { fromMs, toMs, x: from, end };
  });
}

function ticksIn(segment: Segment): { x: number; ms: number }[] {
  const span = segment.toMs - segment.fromMs;
  const most = Math.max(2, Math.floor((segment.end - segment.x) / 56));
  const step = STEPS_MS.find((one) => span / one <= most) ?? 60_000;
  const count = Math.floor(segment.toMs / step) - Math.ceil(segment.fromMs / step) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, index) => {
    const ms = Number(((Math.ceil(segment.fromMs / step) + index) * step).toFixed(6));
    return { ms, x: segment.x + ((ms - segment.fromMs) / span) * (segment.end - segment.x) };
  });
}

export type LaneKind = "client" | "entry" | "coordinator" | "owner" | "fallback" | "down";

export interface Lane {
  readonly kind: LaneKind;
  readonly node: number | null;
  readonly leg: Leg | null;
  readonly y: number;
}

/** Client, entry, coordinator, owners, fallbacks, and below them those who were not asked. */
export function lanesOf(request: RequestModel, scale: number): Lane[] {
  const lanes: Lane[] = [];
  let y = 62 * Math.max(0.75, scale);
  const add = (kind: LaneKind, node: number | null, leg: Leg | null, step: number): void => {
    y += lanes.length === 0 ? 0 : step * scale;
    lanes.push({ kind, node, leg, y: Math.round(y) });
  };
  add("client", null, null, 0);
  const legOf = (node: number | null): Leg | null => request.legs.find((leg) => leg.node === node) ?? null;
  if (request.coordinator !== request.entry) {
    add("entry", request.entry, null, 50);
  }
  if (request.coordinator !== null) {
    add("coordinator", request.coordinator, legOf(request.coordinator), 60);
  }
  const others = request.legs.filter((leg) => leg.node !== request.coordinator);
  others.filter((leg) => leg.role === "owner").forEach((leg) => add("owner", leg.node, leg, 66));
  others.filter((leg) => leg.role === "fallback").forEach((leg) => add("fallback", leg.node, leg, 64));
  const asked = new Set(request.legs.map((leg) => leg.node));
  request.skipped.filter((node) => !asked.has(node)).forEach((node) => add("down", node, null, 62));
  return lanes;
}

export interface Stair {
  readonly edge: string;
  readonly area: string;
  readonly steps: readonly { x: number; y: number; node: number; hinted: boolean; ms: number; count: number }[];
}

/** The tally over time; it never goes down. */
export function staircase(request: RequestModel, scale: TimeScale, base: number, rise: number): Stair {
  let [edge, area] = [`M${String(scale.left)} ${String(base)}`, `M${String(scale.left)} ${String(base)}`];
  const steps = request.votes.map((vote, index) => {
    const ms = (vote.atUs - request.startedUs) / 1000;
    const [x, y] = [scale.x(ms), base - (index + 1) * rise];
    edge += `H${x.toFixed(1)}V${String(y)}`;
    area += `H${x.toFixed(1)}V${String(y)}`;
    return { x, y, node: vote.node, hinted: vote.hinted, ms, count: index + 1 };
  });
  return { edge: `${edge}H${String(scale.right)}`, area: `${area}H${String(scale.right)}V${String(base)}Z`, steps };
}

/** One message between two lanes, with its mark at the end and its word beside it. */
export interface HopLine {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  readonly glyph: GlyphName;
  readonly role: Role;
  /** Empty: no word. */
  readonly label: string;
  /** Where along the line its word stands, from 0 to 1. */
  readonly part?: number;
  readonly dx?: number;
  readonly isEnd?: boolean;
  /** It has not arrived, and never did. */
  readonly isOpen?: boolean;
  /** The break of the axis that it crosses: it dips to a level of its own, runs across, and rises at the other end. */
  readonly gap?: Gap | null;
  readonly level?: number;
}

/** Of the baseline of its word. */
export function hopWord({ x1, y1, x2, y2, part = 0.5, dx = 10, gap = null, level = 0 }: HopLine): Point {
  return gap === null ? { x: x1 + (x2 - x1) * part + dx, y: y1 + (y2 - y1) * part + 4 } : { x: x1 + 34, y: level + 18 };
}

/** Parts of a line at which its word may stand where others stand at its own. */
const PARTS = [0.5, 0.65, 0.35, 0.8, 0.25];

export function figureBox(point: Point, anchor: "start" | "middle" | "end", text: string): Box {
  return wordBox(point, anchor, labelWidth(text) * 1.1, 10, 3, 1);
}

/** The words that come first stand first; one that meets others wherever it may stand is left out: its mark says as much. */
export function spaced<T extends HopLine>(hops: readonly T[], words: readonly Box[]): T[] {
  const taken = [...words];
  return hops.map((hop) => {
    for (const part of hop.part === undefined ? PARTS : [hop.part, ...PARTS]) {
      const moved = { ...hop, part };
      const box = figureBox(hopWord(moved), hop.isEnd === true ? "end" : "start", hop.label);
      if (!taken.some((other) => meets(other, box))) {
        taken.push(box);
        return moved;
      }
    }
    return { ...hop, label: "" };
  });
}
