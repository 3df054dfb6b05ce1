/**
 * The walk of one key along the outside of the dial: its stops, its line, the words beside it.
 *
 * All owners of a key have its own partition; the fallbacks come from those behind it. So several stops may stand at one
 * arc: they are spread clockwise in the order of the walk, and a leader ties each to the arc that it comes from.
 */
import type { KeyPicture, WalkStep } from "kvorum";
import { at, text, turn, type Point } from "./polar.ts";
import type { RouteRequest } from "./routes.ts";
import { isFree, LETTERED_PARTITIONS_MAX, nodeAngle, type Box, type StageLayout } from "./stage.ts";

export type StopRole = "owner" | "down" | "taken" | "hint";

export interface Stop {
  readonly step: WalkStep;
  readonly role: StopRole;
  /** Of the stop, and of the arc that it comes from. */
  readonly angle: number;
  readonly arcAngle: number;
  readonly point: Point;
  /** From the arc to a stop that does not stand at it. */
  readonly leader: string | null;
  /** Where its words stand; `null` without room, and then the list speaks. */
  readonly word: (Point & { anchor: "start" | "end" }) | null;
}

export interface WalkLayout {
  readonly stops: readonly Stop[];
  readonly from: number;
  readonly to: number;
  readonly radius: number;
  /** Some stops stand away from their arcs, so their words name the node. */
  readonly isSpread: boolean;
  /** Too many partitions to see one: no line runs along them. */
  readonly isFanned: boolean;
  readonly name: (Point & { anchor: "start" | "middle" | "end" }) | null;
}

export interface WalkSubject {
  readonly key: KeyPicture;
  readonly partitionCount: number;
  isDown(node: number): boolean;
  /** Keeps a hint for the key, or was asked to. */
  isInUse(node: number): boolean;
  /** Of the words beside a stop. */
  widthOf(role: StopRole, step: WalkStep): number;
}

const SLOTS = 16384;
const FAN_DEGREES = 5;
/** Pixels between two numbered stops, and between smaller ones. */
const STOP_SPACE = 23;
const TAKEN_SPACE = 14;

export function stopRole(step: WalkStep, isDown: (node: number) => boolean): StopRole {
  if (step.role === "owner") {
    return isDown(step.node) ? "down" : "owner";
  }
  return step.role === "fallback" ? "hint" : "taken";
}

/** As far as the owners, and the fallbacks that stand in for one of them. */
export function walkOf({ key, isDown, isInUse }: Pick<WalkSubject, "key" | "isDown" | "isInUse">): WalkStep[] {
  const downs = key.walk.filter((step) => step.role === "owner" && isDown(step.node)).length;
  let end = 0;
  let fallbacks = 0;
  key.walk.forEach((step, index) => {
    if (step.role === "fallback") {
      fallbacks += 1;
    }
    if (step.role === "owner" || (step.role === "fallback" && (fallbacks <= downs || isInUse(step.node)))) {
      end = index + 1;
    }
  });
  return key.walk.slice(0, end);
}

export function walkLayout(layout: StageLayout, subject: WalkSubject): WalkLayout {
  const { key, partitionCount, isDown } = subject;
  const step = 360 / partitionCount;
  const isFanned = partitionCount > LETTERED_PARTITIONS_MAX;
  const steps = walkOf(subject).filter((one) => !isFanned || one.role !== "taken");
  // Unwrapped, so that a walk over twelve o'clock goes on past 360.
  const arcs = steps.map((one) => (key.partition + ((one.partition - key.partition + partitionCount) % partitionCount) + 0.5) * step);
  const isSpread = isFanned || arcs.some((angle, index) => index > 0 && angle === arcs[index - 1]);
  const radius = layout.radius + (layout.compact ? (isSpread ? 12 : 10) : isFanned ? 38 : isSpread ? 22 : 15);
  const angles = isFanned
    ? steps.map((_, index) => (key.slot / SLOTS) * 360 + (index - (steps.length - 1) / 2) * FAN_DEGREES)
    : spread(arcs, steps, radius, layout.compact ? 0.66 : 1);
  const stops = steps.map((one, index): Stop => {
    const role = stopRole(one, isDown);
    const arcAngle = arcs[index] ?? 0;
    const angle = angles[index] ?? arcAngle;
    const from = isFanned ? (key.slot / SLOTS) * 360 : arcAngle;
    const isAway = isSpread && !layout.compact;
    return {
      step: one,
      role,
      angle,
      arcAngle,
      point: at(layout.centre, angle, radius),
      leader: isAway ? `M${text(at(layout.centre, from, layout.radius + 1))}L${text(at(layout.centre, angle, radius - (role === "taken" ? 3 : 8)))}` : null,
      word: word(layout, angle, radius, subject.widthOf(role, one)),
    };
  });
  const last = stops.at(-1);
  const first = stops[0];
  const half = isSpread ? (STOP_SPACE / 2 / radius) * (180 / Math.PI) : step / 2;
  return {
    stops,
    from: first === undefined ? 0 : first.angle - half,
    to: last === undefined ? 0 : last.angle + half + (isSpread ? 0 : 1.2),
    radius,
    isSpread,
    isFanned,
    name: name(layout, first, radius, key.key),
  };
}

/** An arc has the letter of its primary, so it takes the role of that stop and of no other. */
export function isArcOf({ step, role }: Stop, owners: readonly (readonly number[])[]): boolean {
  return role !== "taken" && owners[step.partition]?.[0] === step.node;
}

/** Each stop at its arc, or as far clockwise of the one before as it takes; those of the first arc centred on it. */
function spread(arcs: readonly number[], steps: readonly WalkStep[], radius: number, scale: number): number[] {
  const degrees = (pixels: number): number => ((pixels * scale) / radius) * (180 / Math.PI);
  const spaceAt = (index: number): number =>
    degrees(steps[index]?.role === "taken" || steps[index - 1]?.role === "taken" ? (STOP_SPACE + TAKEN_SPACE) / 2 : STOP_SPACE);
  const shared = arcs.filter((angle) => angle === arcs[0]).length;
  const angles: number[] = [];
  arcs.forEach((arcAngle, index) => {
    const before = angles[index - 1];
    angles.push(before === undefined ? arcAngle - ((shared - 1) / 2) * degrees(STOP_SPACE) : Math.max(arcAngle, before + spaceAt(index)));
  });
  // Already at their arcs: the plain walk, one stop to an arc.
  return shared === 1 && angles.every((angle, index) => Math.abs(angle - (arcs[index] ?? 0)) < 1) ? [...arcs] : angles;
}

/** Routes of all stops: those that leave one arc do so side by side, ordered by where they go, so that they do not cross. */
export function routeRequests(walk: WalkLayout, key: KeyPicture, partitionCount: number, nodeCount: number): RouteRequest[] {
  const step = 360 / partitionCount;
  const groups = new Map<number, Stop[]>();
  for (const stop of walk.stops) {
    if (stop.role !== "taken") {
      groups.set(stop.step.partition, [...(groups.get(stop.step.partition) ?? []), stop]);
    }
  }
  return [...groups.values()].flatMap((stops) => {
    const sorted = [...stops].sort((a, b) => turn(a.arcAngle, nodeAngle(a.step.node, nodeCount)) - turn(b.arcAngle, nodeAngle(b.step.node, nodeCount)));
    const space = walk.isFanned ? 1.6 : Math.min(1.6, (step * 0.8) / Math.max(1, stops.length - 1));
    return sorted.flatMap(({ step: { node }, role, arcAngle }, index): RouteRequest[] => {
      const middle = walk.isFanned ? (key.slot / SLOTS) * 360 : arcAngle;
      return role === "taken" ? [] : [{ node, role, from: middle + (index - (sorted.length - 1) / 2) * space, to: nodeAngle(node, nodeCount) }];
    });
  });
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
    const half = Math.min(key.length, 28) * 3.4;
    const x = Math.max(half + 6, Math.min(layout.width - half - 6, point.x - 2));
    return { x, y: Math.max(14, Math.min(layout.height - 6, point.y + 16)), anchor: "middle" };
  }
  const sine = Math.sin((first.angle * Math.PI) / 180);
  const width = Math.min(key.length, 28) * 8;
  if (Math.abs(sine) < 0.5) {
    // Level with the first stop, on the side from which the walk comes.
    const side = Math.cos((first.angle * Math.PI) / 180) > 0 ? ("end" as const) : ("start" as const);
    const beside = { x: first.point.x + (side === "end" ? -16 : 16), y: first.point.y };
    return isFree(layout, wordBox(beside, side, width, 10)) ? { x: beside.x, y: beside.y + 5, anchor: side } : null;
  }
  const point = at(layout.centre, first.angle, radius + 15);
  const anchor = sine < 0 ? "end" : "start";
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
