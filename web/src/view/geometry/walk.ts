/** The walk of one key along the outside of the dial: its stops, its line, the words beside it. */
import type { KeyPicture, WalkStep } from "kvorum";
import { at, type Point } from "./polar.ts";
import { isFree, LETTERED_PARTITIONS_MAX, type Box, type StageLayout } from "./stage.ts";

export type StopRole = "owner" | "down" | "taken" | "hint";

export interface Stop {
  readonly step: WalkStep;
  readonly role: StopRole;
  readonly angle: number;
  readonly point: Point;
  /** Where its words stand; `null` without room, and then the list speaks. */
  readonly word: (Point & { anchor: "start" | "end" }) | null;
}

export interface WalkLayout {
  readonly stops: readonly Stop[];
  readonly from: number;
  readonly to: number;
  readonly radius: number;
  readonly isFanned: boolean;
  readonly name: (Point & { anchor: "start" | "middle" | "end" }) | null;
}

const FAN_DEGREES = 5;

export function stopRole(step: WalkStep, isDown: (node: number) => boolean): StopRole {
  if (step.role === "owner") {
    return isDown(step.node) ? "down" : "owner";
  }
  return step.role === "fallback" ? "hint" : "taken";
}

export function walkLayout(
  layout: StageLayout,
  key: KeyPicture,
  partitionCount: number,
  isDown: (node: number) => boolean,
  /** Of the words beside a stop. */
  widthOf: (role: StopRole, step: WalkStep) => number,
): WalkLayout {
  const step = 360 / partitionCount;
  const isFanned = partitionCount > LETTERED_PARTITIONS_MAX;
  const radius = layout.radius + (layout.compact ? 10 : isFanned ? 38 : 15);
  const steps = isFanned ? key.walk.filter((one) => one.role !== "taken") : key.walk;
  const middle = (key.slot / 16384) * 360;
  const stops = steps.map((one, index): Stop => {
    // Unwrapped, so that a walk over twelve o'clock goes on past 360.
    const ahead = (one.partition - key.partition + partitionCount) % partitionCount;
    const angle = isFanned ? middle + (index - (steps.length - 1) / 2) * FAN_DEGREES : (key.partition + ahead + 0.5) * step;
    const role = stopRole(one, isDown);
    return { step: one, role, angle, point: at(layout.centre, angle, radius), word: word(layout, angle, radius, widthOf(role, one)) };
  });
  const last = stops.at(-1);
  const from = isFanned ? middle : key.partition * step;
  const to = last === undefined ? from : isFanned ? last.angle : last.angle + step / 2 + 1.2;
  return { stops, from, to, radius, isFanned, name: name(layout, stops[0], radius, key.key) };
}

function word(layout: StageLayout, angle: number, radius: number, width: number): Stop["word"] {
  const sine = Math.sin((angle * Math.PI) / 180);
  if (layout.compact || Math.abs(sine) < 0.5) {
    return null;
  }
  const point = at(layout.centre, angle, radius + 15);
  const anchor = sine < 0 ? "end" : "start";
  return isFree(layout, wordBox(point, anchor, width, 8)) ? { x: point.x, y: point.y + 4, anchor } : null;
}

function name(layout: StageLayout, first: Stop | undefined, radius: number, key: string): WalkLayout["name"] {
  if (first === undefined) {
    return null;
  }
  if (layout.compact) {
    const point = at(layout.centre, first.angle, radius + 10);
    const half = key.length * 3.4;
    const x = Math.max(half + 6, Math.min(layout.width - half - 6, point.x - 2));
    return { x, y: Math.max(14, Math.min(layout.height - 6, point.y + 16)), anchor: "middle" };
  }
  const sine = Math.sin((first.angle * Math.PI) / 180);
  const point = at(layout.centre, first.angle, radius + 15);
  const anchor = sine < 0 ? "end" : "start";
  const width = key.length * 8;
  for (const dy of sine < 0 ? [27, -18] : [-18, 27]) {
    if (isFree(layout, wordBox({ x: point.x, y: point.y + dy }, anchor, width, 10))) {
      return { x: point.x, y: point.y + dy, anchor };
    }
  }
  return null;
}

function wordBox(point: Point, anchor: "start" | "end", width: number, half: number): Box {
  const left = anchor === "end" ? point.x - width : point.x;
  return { left, right: left + width, top: point.y - half, bottom: point.y + half };
}
