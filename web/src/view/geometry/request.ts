/**
 * One request as lanes over time: who was asked, what went where and when, and the staircase of the tally below.
 *
 * Everything drawn has a time in the model; what has none (the hop of a client, the service time of a read) is drawn as
 * a line between the times that are known, never as a length that would be made up.
 */
import type { Leg, RequestModel } from "../../model/scene.ts";

export interface Segment {
  readonly fromMs: number;
  readonly toMs: number;
  readonly x: number;
  readonly end: number;
}

export interface TimeScale {
  readonly segments: readonly Segment[];
  readonly ticks: readonly { x: number; ms: number }[];
  readonly left: number;
  readonly right: number;
  /** Between two segments the axis is broken. */
  readonly gap: { from: number; to: number } | null;
  x(ms: number): number;
  isAfterGap(ms: number): boolean;
}

const LEFT = 188;
const GAP = 56;
/** A pause longer than this part of the whole is cut out of the axis. */
const PAUSE_PART = 0.5;
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
  let pause: { from: number; to: number } | null = null;
  times.forEach((to, index) => {
    const from = times[index - 1] ?? 0;
    if (to - from > PAUSE_PART * last && to - from > (pause === null ? 0 : pause.to - pause.from)) {
      pause = { from, to };
    }
  });
  const right = width - 36;
  const segments = segmentsOf(pause, last, right);
  const first = segments[0];
  const second = segments[1];
  const x = (ms: number): number => {
    const segment = second !== undefined && ms > (pause?.from ?? 0) && ms >= second.fromMs ? second : first;
    if (segment === undefined) {
      return LEFT;
    }
    const part = (ms - segment.fromMs) / Math.max(1e-9, segment.toMs - segment.fromMs);
    return segment.x + Math.min(1, Math.max(0, part)) * (segment.end - segment.x);
  };
  const ticks = segments.flatMap((segment) => ticksIn(segment));
  const gap = first !== undefined && second !== undefined ? { from: first.end + 16, to: second.x - 16 } : null;
  return { segments, ticks, left: LEFT, right: width, gap, x, isAfterGap: (ms) => second !== undefined && ms >= second.fromMs };
}

function segmentsOf(pause: { from: number; to: number } | null, last: number, right: number): Segment[] {
  if (pause === null || pause.from <= 0) {
    return [{ fromMs: 0, toMs: last * 1.06, x: LEFT, end: right }];
  }
  const before = pause.from * 1.15;
  const pad = Math.max(0.2, (last - pause.to) * 0.4, pause.from * 0.05);
  const from = Math.max(before + 1e-3, pause.to - pad);
  const to = last + pad * 0.4;
  const part = Math.min(0.7, Math.max(0.45, before / (before + (to - from))));
  const middle = LEFT + (right - LEFT - GAP) * part;
  return [
    { fromMs: 0, toMs: before, x: LEFT, end: middle },
    { fromMs: from, toMs: to, x: middle + GAP, end: right },
  ];
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
