/** Where messages are: on the straight line between two nodes, linear in virtual time. */
import type { Flight } from "../../model/scene.ts";
import type { Point } from "./polar.ts";
import type { StageLayout } from "./stage.ts";

export interface MovingMessage {
  readonly flight: Flight;
  readonly start: Point;
  readonly end: Point;
  readonly point: Point;
  readonly angle: number;
}

/** A lost message ends here, part of its way, as the core drops it when it is sent. */
const LOST_AT = 0.62;
/** Longest distance from a click to the message that it means. */
const HIT_RADIUS = 14;

export function moving(
  layout: StageLayout,
  points: readonly Point[],
  flights: readonly Flight[],
  nowUs: number,
  isStill: boolean,
): MovingMessage[] {
  return flights.flatMap((flight) => {
    const from = points[flight.from];
    const to = points[flight.to];
    if (from === undefined || to === undefined || flight.from === flight.to) {
      return [];
    }
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = Math.hypot(dx, dy);
    const clear = Math.min(layout.nodeRadius + layout.gap, length / 3);
    const unit = { x: dx / length, y: dy / length };
    const start = { x: from.x + unit.x * clear, y: from.y + unit.y * clear };
    const end = { x: to.x - unit.x * clear, y: to.y - unit.y * clear };
    const time = isStill ? 0.5 : (nowUs - flight.sentUs) / Math.max(1, flight.arrivesUs - flight.sentUs);
    const most = flight.fate === "arrives" ? 1 : flight.fate === "lost" ? LOST_AT : 0.5;
    const part = Math.min(most, Math.max(0, time));
    const point = { x: start.x + (end.x - start.x) * part, y: start.y + (end.y - start.y) * part };
    return [{ flight, start, end, point, angle: Math.atan2(dy, dx) }];
  });
}

export function nearest(messages: readonly MovingMessage[], x: number, y: number): MovingMessage | null {
  let best: MovingMessage | null = null;
  let least = HIT_RADIUS;
  for (const message of messages) {
    const distance = Math.hypot(message.point.x - x, message.point.y - y);
    if (distance < least) {
      [best, least] = [message, distance];
    }
  }
  return best;
}
