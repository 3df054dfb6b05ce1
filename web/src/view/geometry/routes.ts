/**
 * Routes from an arc of the dial to the node that holds it: radial, concentric, radial, with rounded corners.
 *
 * Those that would run over each other take lanes further inside; opposite ways may share one.
 */
import { at, short, text, turn, type Point } from "./polar.ts";
import type { Box } from "./stage.ts";

export type RouteRole = "owner" | "hint" | "down";

export interface RouteRequest {
  readonly node: number;
  readonly role: RouteRole;
  /** Of the arc, and of the node. */
  readonly from: number;
  readonly to: number;
}

export interface Route extends RouteRequest {
  readonly lane: number;
  readonly path: string;
}

export interface RouteRadii {
  readonly start: number;
  endOf(node: number): number;
  readonly lanes: readonly number[];
  readonly corner: number;
}

/** Of what words keep off, a line and a little air. */
const PIECE = 8;

/** Also the order of painting: what is present lies above what is not. */
const ORDER: Readonly<Record<RouteRole, number>> = { down: 0, hint: 1, owner: 2 };

export function routes(centre: Point, requests: readonly RouteRequest[], radii: RouteRadii): Route[] {
  const taken: { low: number; high: number }[][] = radii.lanes.map(() => []);
  const length = (request: RouteRequest): number => Math.abs(turn(request.from, request.to));
  const sorted = [...requests].sort((a, b) => ORDER[a.role] - ORDER[b.role] || length(b) - length(a));
  return sorted.map((request) => {
    const span = turn(request.from, request.to);
    const low = Math.min(request.from, request.from + span);
    const high = low + Math.abs(span);
    const free = taken.findIndex((lane) => lane.every((other) => !overlap(low, high, other.low, other.high)));
    const lane = free < 0 ? radii.lanes.length - 1 : free;
    taken[lane]?.push({ low, high });
    const path = routePath(centre, request.from, request.from + span, radii, radii.endOf(request.node), radii.lanes[lane] ?? radii.endOf(request.node));
    return { ...request, lane, path };
  });
}

/** What a route covers, in pieces of a few pixels: words keep off it. */
export function routeBoxes(centre: Point, route: Route, radii: RouteRadii): Box[] {
  const lane = radii.lanes[route.lane] ?? radii.endOf(route.node);
  const span = turn(route.from, route.to);
  const along = (length: number, place: (part: number) => Point): Box[] => {
    const count = Math.max(1, Math.ceil(Math.abs(length) / PIECE));
    return Array.from({ length: count + 1 }, (_, index) => {
      const { x, y } = place(index / count);
      return { left: x - PIECE / 2, right: x + PIECE / 2, top: y - PIECE / 2, bottom: y + PIECE / 2 };
    });
  };
  const end = radii.endOf(route.node);
  return [
    ...along(radii.start - lane, (part) => at(centre, route.from, radii.start + part * (lane - radii.start))),
    ...along((span * Math.PI * lane) / 180, (part) => at(centre, route.from + part * span, lane)),
    ...along(lane - end, (part) => at(centre, route.to, lane + part * (end - lane))),
  ];
}

/** Angles are compared around the circle: 350 to 10 meets 0 to 5. */
function overlap(low: number, high: number, otherLow: number, otherHigh: number): boolean {
  return [-360, 0, 360].some((shift) => low < otherHigh + shift && otherLow + shift < high);
}

function routePath(centre: Point, from: number, to: number, radii: RouteRadii, end: number, lane: number): string {
  const k = radii.corner;
  const bend = (k / lane) * (180 / Math.PI);
  // Straight in when both ends are so near that two corners do not fit.
  if (Math.abs(to - from) < 2 * bend) {
    return `M${text(at(centre, from, radii.start))}L${text(at(centre, from, lane))}L${text(at(centre, to, end))}`;
  }
  const way = to > from ? 1 : -1;
  const far = Math.abs(to - from) > 180 ? 1 : 0;
  const r = short(lane);
  return (
    `M${text(at(centre, from, radii.start))}L${text(at(centre, from, lane + k))}` +
    `Q${text(at(centre, from, lane))} ${text(at(centre, from + bend * way, lane))}` +
    `A${r} ${r} 0 ${far} ${way > 0 ? 1 : 0} ${text(at(centre, to - bend * way, lane))}` +
    `Q${text(at(centre, to, lane))} ${text(at(centre, to, lane - k))}L${text(at(centre, to, end))}`
  );
}
